//! How far long work has come, on stderr where that is a terminal.

use std::borrow::Cow;
use std::cell::Cell;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::out;

/// One line that is drawn again and again, and gone without a trace when it is dropped.
pub struct Bar {
    bar: ProgressBar,
    template: Cell<&'static str>,
}

impl Bar {
    /// Shown once the work takes a while.
    pub fn new() -> Self {
        let bar = ProgressBar::no_length();
        bar.enable_steady_tick(Duration::from_millis(200));
        Self {
            bar,
            template: Cell::new(""),
        }
    }

    /// So many are done of `what`; `None`: nobody knows how many there are.
    pub fn count(&self, what: impl Into<Cow<'static, str>>, done: u64, of: Option<u64>) {
        let template = match of {
            Some(_) => "{msg} {wide_bar} {human_pos} of {human_len}",
            None => "{spinner} {msg} {human_pos}",
        };
        self.draw(template, what.into(), done, of);
    }

    /// So many bytes are done of `what`.
    pub fn bytes(&self, what: impl Into<Cow<'static, str>>, done: u64, of: Option<u64>) {
        let template = match of {
            Some(_) => "{msg} {wide_bar} {bytes} of {total_bytes}",
            None => "{spinner} {msg} {bytes}",
        };
        self.draw(template, what.into(), done, of);
    }

    fn draw(&self, template: &'static str, what: Cow<'static, str>, done: u64, of: Option<u64>) {
        if self.template.replace(template) != template
            && let Ok(style) = ProgressStyle::with_template(template)
        {
            self.bar.set_style(style);
        }
        if let Some(of) = of
            && self.bar.length() != Some(of)
        {
            self.bar.set_length(of);
        }
        self.bar.set_message(out::tame(what));
        self.bar.set_position(done);
    }

    /// Does `work`, which writes to the terminal, while the bar is out of its way.
    pub fn suspend<T>(&self, work: impl FnOnce() -> T) -> T {
        self.bar.suspend(work)
    }
}

impl Default for Bar {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
