//! Shows which measurement is running: one line for each part, redrawn if the terminal can do that.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::Instant;

#[derive(Debug)]
pub(crate) struct Progress {
    began: Instant,
    part: Mutex<(String, usize)>,
    redraws: bool,
}

impl Progress {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), part: Mutex::default(), redraws: std::io::stderr().is_terminal() }
    }

    pub(crate) fn part(&self, name: &str) {
        if let Ok(mut part) = self.part.lock() {
            *part = (name.to_owned(), 0);
        }
        eprintln!(
            "{}[{:4} s] {name}",
            if self.redraws { "\r\x1b[K" } else { "" },
            self.began.elapsed().as_secs()
        );
    }

    /// Shows `done` of `all`. Without a terminal it prints only each quarter.
    pub(crate) fn step(&self, done: usize, all: usize) {
        let Ok(mut part) = self.part.lock() else { return };
        let percent = done * 100 / all.max(1);
        if self.redraws {
            eprint!("\r\x1b[K         {percent:3} %{}", if done >= all { "\r\x1b[K" } else { "" });
            let _ = std::io::stderr().flush();
        } else if percent / 25 > part.1 / 25 {
            eprintln!("         {percent:3} %");
        }
        part.1 = percent;
    }
}
