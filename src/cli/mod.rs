//! The command line: argument parsing and one file for each verb. No simulation logic.
