//! Signals. Ctrl-C: the first ends the run cleanly at the next occasion, the second ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set when the user or the system asks the run to end.
#[derive(Clone)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens from now on.
    pub fn listen() -> Self {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // In this order: the second signal finds the flag set and ends the process.
            let code = i32::from(super::INTERRUPTED);
            let registered = signal_hook::flag::register_conditional_shutdown(signal, code, flag.clone())
                .and_then(|_| signal_hook::flag::register(signal, flag.clone()));
            if let Err(error) = registered {
                eprintln!("warning: cannot listen for signal {signal}: {error}; an interrupt will not end cleanly");
            }
        }
        Self(flag)
    }

    /// Whether an end was asked for.
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Lets a write beyond the file size limit (`ulimit -f`) fail like one on a full disk; it would kill the process.
pub(super) fn see_file_size_limit() {
    #[cfg(unix)]
    {
        let seen = Arc::new(AtomicBool::new(false));
        if let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, seen) {
            eprintln!("warning: cannot listen for signal SIGXFSZ: {error}; a file size limit will kill the process");
        }
    }
}
