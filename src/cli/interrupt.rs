//! Signals. Ctrl-C: the first ends the run cleanly at the next occasion, the second ends the process at once. SIGUSR1
//! calls for a checkpoint.

use crate::config::CheckpointSpec;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the user or the system asked for.
#[derive(Clone)]
pub(super) struct Interrupt {
    end: Arc<AtomicBool>,
    checkpoint: Arc<AtomicBool>,
}

impl Interrupt {
    /// Listens from now on.
    pub fn listen() -> Self {
        let end = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
            // In this order: the second signal finds the flag set and ends the process.
            let code = i32::from(super::INTERRUPTED);
            let registered = signal_hook::flag::register_conditional_shutdown(signal, code, end.clone())
                .and_then(|_| signal_hook::flag::register(signal, end.clone()));
            if let Err(error) = registered {
                eprintln!("warning: cannot listen for signal {signal}: {error}; an interrupt will not end cleanly");
            }
        }
        Self { end, checkpoint: Arc::default() }
    }

    /// Listens for calls for checkpoints too, if the configuration says so.
    pub fn listen_for_checkpoints(&mut self, plan: Option<&CheckpointSpec>) {
        #[cfg(unix)]
        if plan.is_some_and(|plan| plan.on_signal)
            && let Err(error) = signal_hook::flag::register(signal_hook::consts::SIGUSR1, self.checkpoint.clone())
        {
            eprintln!("warning: cannot listen for SIGUSR1: {error}; it will end the process");
        }
        #[cfg(not(unix))]
        let _ = plan;
    }

    /// Whether an end was asked for.
    pub fn asked(&self) -> bool {
        self.end.load(Ordering::Relaxed)
    }

    /// Whether a checkpoint was asked for.
    pub fn checkpoint_wanted(&self) -> bool {
        self.checkpoint.load(Ordering::Relaxed)
    }

    /// Whether a checkpoint was asked for since this was last called.
    pub fn take_checkpoint_wanted(&self) -> bool {
        self.checkpoint.swap(false, Ordering::Relaxed)
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
