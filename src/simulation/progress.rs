//! Progress bars: for people at a terminal, and for nobody else.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar on the error stream, so that it never mixes with output. Without a total it counts and spins. Hidden where
/// `shown` is false (`--json`) or the error stream is no terminal.
pub fn bar(label: &str, total: Option<u64>, shown: bool) -> ProgressBar {
    let target = if shown { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(total, target);
    let template = match total {
        Some(_) => "{prefix:>12} [{bar:32}] {human_pos}/{human_len} {per_sec:>10} {eta:>5} {msg}",
        None => "{prefix:>12} {spinner} {human_pos} {per_sec:>10} {elapsed:>5} {msg}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(label.to_owned());
    if shown {
        bar.enable_steady_tick(Duration::from_millis(200));
    }
    bar
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_hidden_bar_counts_all_the_same() {
        let bar = super::bar("payments", Some(10), false);
        bar.inc(3);
        assert!(bar.is_hidden());
        assert_eq!(bar.position(), 3);
    }
}
