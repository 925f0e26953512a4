//! What people see while things start.
//!
//! In: the names of steps. Out: a spinner on a terminal, a line for each step elsewhere, or nothing.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Shows the step that is being done.
pub struct Progress {
    bar: ProgressBar,
    lines: bool,
    started: Instant,
}

impl Progress {
    /// A spinner where standard error is a terminal, lines elsewhere.
    #[must_use]
    pub fn shown() -> Self {
        let lines = !std::io::stderr().is_terminal();
        let bar = if lines { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} {wide_msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar, lines, started: Instant::now() }
    }

    /// Shows nothing: for tests.
    #[must_use]
    pub fn silent() -> Self {
        Self { bar: ProgressBar::hidden(), lines: false, started: Instant::now() }
    }

    /// The step that begins now.
    pub fn step(&self, name: &str) {
        self.bar.set_prefix(name.to_owned());
        self.bar.set_message("");
        if self.lines {
            eprintln!("[{:>5.1} s] {name}", self.started.elapsed().as_secs_f32());
        }
    }

    /// How far the step is; shown on a terminal alone.
    pub fn detail(&self, text: &str) {
        self.bar.set_message(text.to_owned());
    }

    /// Ends the display.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
