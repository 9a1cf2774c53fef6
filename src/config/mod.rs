//! The configuration file: raw tables shaped like the TOML file, then a validated run specification.
