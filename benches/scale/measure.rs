//! What one run of a program costs: time, processor time, and the most memory it ever had.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a run cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// User and system, in steps of 10 ms.
    pub(crate) cpu: Duration,
    /// The most resident memory, in kB.
    pub(crate) peak: u64,
}

impl Cost {
    /// The least of several runs, each number by itself: other programs only ever add to it.
    fn least(self, other: Self) -> Self {
        Self {
            wall: self.wall.min(other.wall),
            cpu: self.cpu.min(other.cpu),
            peak: self.peak.min(other.peak),
        }
    }
}

/// Runs a program several times; the output goes nowhere. It has to succeed.
pub(crate) fn least(times: usize, mut command: impl FnMut() -> Command) -> Cost {
    let costs = (0..times.max(1)).map(|_| once(&mut command()));
    costs.reduce(Cost::least).expect("there is one run")
}

fn once(command: &mut Command) -> Cost {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let before = processor_time_of_children();
    let begin = Instant::now();
    let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let status = Path::new("/proc").join(child.id().to_string()).join("status");
    let waiting = std::thread::spawn(move || end(child));
    let mut peak = 0;
    while !waiting.is_finished() {
        // A process that is over has no memory, so the last look is a moment before its end.
        peak = peak.max(most_memory(&status).unwrap_or_default());
        std::thread::sleep(Duration::from_millis(1));
    }
    let wall = begin.elapsed();
    let failed = waiting.join().expect("waiting for a process does not panic");
    assert!(failed.is_none(), "{command:?}: {}", failed.unwrap_or_default());
    Cost { wall, cpu: processor_time_of_children().saturating_sub(before), peak }
}

/// Waits for the end; the words of a program that failed.
fn end(child: Child) -> Option<String> {
    let output = child.wait_with_output().expect("the process is ours");
    let words = || format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    (!output.status.success()).then(words)
}

fn most_memory(status: &Path) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// `cutime` and `cstime` in proc(5), in ticks, of which Linux has 100 a second for programs.
fn processor_time_of_children() -> Duration {
    let text = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}
