//! What `status` shows of a change that is under way: how far it is, and what it waits for.

use std::time::Duration;

use serde::Serialize;

use crate::page::Page;
use crate::style::Tone;
use crate::units::{bytes, count, duration};

/// What is under way.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Now {
    /// The online changes that are not at their end.
    pub online: Vec<OnlineLine>,
    /// What online changes have left without anybody who knows of it, a line each.
    pub strays: Vec<String>,
    /// The run that is not at its end.
    pub work: Option<WorkLine>,
}

/// An online change that is not at its end.
#[derive(Clone, Debug, Serialize)]
pub struct OnlineLine {
    /// Its column.
    pub column: String,
    /// How far it is.
    pub phase: String,
    /// What leads on or back.
    pub next: String,
}

/// A run that is not at its end.
#[derive(Clone, Debug, Default, Serialize)]
pub struct WorkLine {
    /// Its number.
    pub run: i64,
    /// The process on the server that works on it; none if nobody does.
    pub process: Option<i32>,
    /// The step that is at work, or next.
    pub step: Option<usize>,
    /// What it does.
    pub summary: Option<String>,
    /// How long ago it began, in milliseconds.
    pub since_ms: Option<u64>,
    /// How many blocks of its relation are done, and how many there are.
    pub blocks: Option<(u64, u64)>,
    /// The same in rows, estimated.
    pub rows: Option<(u64, u64)>,
    /// How many rows of it are done in a second.
    pub rows_per_second: Option<u64>,
    /// How long the rest takes at this pace, in milliseconds.
    pub left_ms: Option<u64>,
    /// What the server says of a long statement.
    pub server: Option<String>,
    /// What it waits for by its own decision.
    pub waits_for: Vec<String>,
    /// For how long, in milliseconds.
    pub waited_ms: Option<u64>,
    /// Who blocks it.
    pub blocked_by: Vec<String>,
    /// Who follows the server.
    pub followers: Vec<FollowerLine>,
}

/// Who follows the server.
#[derive(Clone, Debug, Serialize)]
pub struct FollowerLine {
    /// What it calls itself.
    pub name: String,
    /// How old what it shows is, in milliseconds.
    pub lag_ms: Option<u64>,
    /// How much of the write-ahead log it has not applied.
    pub behind_bytes: Option<u64>,
}

fn time(ms: u64) -> String {
    duration(Duration::from_millis(ms))
}

/// Writes what is under way, if anything is.
pub(crate) fn write_now(page: &mut Page, now: &Now) {
    for online in &now.online {
        page.gap();
        page.raw(&page.style.paint(Tone::Strong, &format!("Online change of {}", online.column)));
        page.labelled(2, "phase", 8, &online.phase);
        page.labelled(2, "next", 8, &online.next);
    }
    for stray in &now.strays {
        page.gap();
        page.prose("", Tone::Warn, stray);
    }
    let Some(work) = &now.work else { return };
    page.gap();
    let doing = match work.process {
        Some(process) => format!("Run {} is at work, as process {process}", work.run),
        None => format!("Run {} did not come to its end, and nobody is at work on it", work.run),
    };
    page.raw(&page.style.paint(Tone::Strong, &doing));
    if let (Some(number), Some(summary)) = (work.step, &work.summary) {
        let since = work.since_ms.map(|ms| format!(", for {}", time(ms))).unwrap_or_default();
        page.labelled(2, "step", 8, &format!("{number}. {}{since}", summary.replace('\n', "; ")));
    }
    if let Some(done) = progress(work) {
        page.labelled(2, "done", 8, &done);
    }
    if let Some(server) = &work.server {
        page.labelled(2, "server", 8, server);
    }
    if !work.waits_for.is_empty() {
        let waited = work.waited_ms.map(|ms| format!("for {}: ", time(ms))).unwrap_or_default();
        page.labelled(2, "waits", 8, &format!("{waited}{}", work.waits_for.join("; ")));
    }
    for blocker in &work.blocked_by {
        page.labelled(2, "blocked", 8, &format!("by {blocker}"));
    }
    for follower in &work.followers {
        page.labelled(2, "standby", 8, &followed(follower));
    }
}

fn progress(work: &WorkLine) -> Option<String> {
    let (done, of) = work.blocks?;
    let mut out = format!("{} %", done * 100 / of.max(1));
    if let Some((done, of)) = work.rows {
        let of = count(of, "row", "rows");
        let done = count(done, "", "");
        out.push_str(&format!(", about {} of {of}", done.trim_end()));
    }
    if let Some(rate) = work.rows_per_second.filter(|_| work.process.is_some()) {
        out.push_str(&format!(", {} a second", count(rate, "row", "rows")));
    }
    if let Some(left) = work.left_ms.filter(|_| work.process.is_some()) {
        out.push_str(&format!(", about {} left", time(left)));
    }
    Some(out)
}

fn followed(follower: &FollowerLine) -> String {
    let behind = follower.behind_bytes.map(|b| format!("{} behind", bytes(b)));
    let lag = follower.lag_ms.map(time);
    let words: Vec<String> = behind.into_iter().chain(lag).collect();
    match words.is_empty() {
        true => format!("{}: how far it is is hidden from this role", follower.name),
        false => format!("{}: {}", follower.name, words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::Style;

    #[test]
    fn how_far_it_is_and_what_it_waits_for() {
        let work = WorkLine {
            run: 3,
            process: Some(77),
            step: Some(2),
            summary: Some("carry the values over".to_owned()),
            since_ms: Some(60_000),
            blocks: Some((512, 2048)),
            rows: Some((25_000, 100_000)),
            rows_per_second: Some(416),
            left_ms: Some(180_000),
            waits_for: vec!["replication slot p".to_owned()],
            waited_ms: Some(4_000),
            blocked_by: vec!["process 5".to_owned()],
            followers: vec![FollowerLine {
                name: "s".to_owned(),
                lag_ms: Some(2_000),
                behind_bytes: Some(1 << 20),
            }],
            ..WorkLine::default()
        };
        let mut page = Page::new(Style { color: false, width: 100 });
        write_now(&mut page, &Now { work: Some(work), ..Now::default() });
        let text = page.finish();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(
            text,
            "Run 3 is at work, as process 77 step 2. carry the values over, for 1 min \
             done 25 %, about 25,000 of 100,000 rows, 416 rows a second, about 3 min left \
             waits for 4 s: replication slot p blocked by process 5 standby s: 1 MB behind, 2 s"
        );
    }
}
