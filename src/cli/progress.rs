//! The progress line of a run: a bar on a terminal, a line now and then otherwise.

use crate::engine::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Time between two plain lines.
const INTERVAL: Duration = Duration::from_secs(5);

/// Says on the standard error stream how far a run is.
pub(super) enum ProgressLine {
    Quiet,
    Bar(ProgressBar),
    Plain { last: Instant },
}

impl ProgressLine {
    pub fn new(quiet: bool) -> Self {
        if quiet {
            Self::Quiet
        } else if std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(1000);
            bar.set_style(
                ProgressStyle::with_template("{prefix:>9} {bar:32} {msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_bar()),
            );
            Self::Bar(bar)
        } else {
            Self::Plain { last: Instant::now() }
        }
    }

    /// A phase without known length begins.
    pub fn phase(&mut self, name: &str) {
        match self {
            Self::Quiet => {}
            Self::Bar(bar) => {
                bar.set_prefix(name.to_owned());
                bar.tick();
            }
            Self::Plain { .. } => eprintln!("{name} ..."),
        }
    }

    /// The simulation got on; this process began it at `from_ms`.
    pub fn update(&mut self, progress: &Progress, from_ms: f64) {
        let done = progress.time_ms - from_ms;
        let factor = if done > 0.0 { progress.wall.as_secs_f64() * 1e3 / done } else { 0.0 };
        let left = (progress.until_ms - progress.time_ms) * factor * 1e-3;
        let message = format!(
            "{} of {}, real-time factor {factor:.2}, {} left",
            biological(progress.time_ms),
            biological(progress.until_ms),
            wall(left)
        );
        match self {
            Self::Quiet => {}
            Self::Bar(bar) => {
                bar.set_position((progress.time_ms / progress.until_ms * 1000.0) as u64);
                bar.set_message(message);
            }
            Self::Plain { last } => {
                if last.elapsed() >= INTERVAL {
                    *last = Instant::now();
                    eprintln!("simulating: {message}");
                }
            }
        }
    }

    pub fn clear(&mut self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// A biological time for people.
pub(super) fn biological(ms: f64) -> String {
    if ms >= 10_000.0 { format!("{:.1} s", ms * 1e-3) } else { format!("{ms:.0} ms") }
}

fn wall(seconds: f64) -> String {
    if seconds < 60.0 {
        format!("{seconds:.0} s")
    } else if seconds < 3600.0 {
        format!("{:.0} min {:.0} s", (seconds / 60.0).floor(), seconds % 60.0)
    } else {
        format!("{:.0} h {:.0} min", (seconds / 3600.0).floor(), seconds % 3600.0 / 60.0)
    }
}
