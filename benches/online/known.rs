//! What every row has to be: a byte for each row of the table, and one for each that was inserted.

use sqlx::{AssertSqlSafe, PgConnection, Row};

/// The labels of the enum; the letters by which the server tells them.
pub(crate) const LABELS: [&str; 4] = ["user", "assistant", "system", "tool"];
const LETTERS: [u8; 4] = [b'u', b'a', b's', b't'];
const GONE: u8 = b'-';

/// Inserted rows have their keys from here on.
pub(crate) const INSERTED: u64 = 1_000_000_000;
/// So many rows are compared at once.
const CHUNK: u64 = 200_000;

/// The rows of one client: every `of`-th from its own on.
pub(crate) struct Known {
    number: u64,
    of: u64,
    first: Vec<u8>,
    inserted: Vec<u8>,
}

impl Known {
    pub(crate) fn new(number: u64, of: u64, rows: u64) -> Self {
        let ids = (1 + number..=rows).step_by(usize::try_from(of).unwrap_or(1));
        let first = ids.map(|id| LETTERS[usize::try_from(id % 4).unwrap_or(0)]).collect();
        Self { number, of, first, inserted: Vec::new() }
    }

    /// One of its rows, and whether it is there.
    pub(crate) fn pick(&self, random: u64) -> (u64, bool) {
        let at = random % self.first.len().max(1) as u64;
        let there = self.first.get(usize::try_from(at).unwrap_or(0)).is_some_and(|l| *l != GONE);
        (1 + self.number + at * self.of, there)
    }

    /// The key of the next row to insert.
    pub(crate) fn next(&self) -> u64 {
        INSERTED + self.number + self.inserted.len() as u64 * self.of
    }

    /// A row has this label from now on; none: it is gone.
    pub(crate) fn is(&mut self, id: u64, label: Option<usize>) {
        let letter = label.map_or(GONE, |label| LETTERS[label]);
        if id >= INSERTED {
            self.inserted.push(letter);
            return;
        }
        let at = usize::try_from((id - 1 - self.number) / self.of).unwrap_or(0);
        self.first[at] = letter;
    }

    /// How many of its rows in the table are something else, and how many there should be.
    pub(crate) async fn compare(&self, connection: &mut PgConnection) -> (u64, u64) {
        let mut wrong = 0;
        for (from, letters) in
            [(1 + self.number, &self.first), (INSERTED + self.number, &self.inserted)]
        {
            let chunk = usize::try_from(CHUNK).unwrap_or(1);
            for (at, letters) in (0_u64..).zip(letters.chunks(chunk)) {
                let begin = from + at * CHUNK * self.of;
                let end = begin + (letters.len() as u64 - 1) * self.of;
                let there = row_letters(connection, begin, end, self.of).await;
                let differ = letters.iter().zip(there.as_bytes()).filter(|(a, b)| a != b).count();
                wrong += (differ + letters.len().abs_diff(there.len())) as u64;
            }
        }
        let there =
            self.first.iter().chain(&self.inserted).filter(|letter| **letter != GONE).count();
        (wrong, there as u64)
    }
}

/// A letter for each of some rows, as the server has them.
async fn row_letters(connection: &mut PgConnection, begin: u64, end: u64, step: u64) -> String {
    let sql = format!(
        "SELECT string_agg(CASE m.role::text WHEN 'user' THEN 'u' WHEN 'assistant' THEN 'a' WHEN 'system' THEN 's' \
         WHEN 'tool' THEN 't' ELSE CASE WHEN m.id IS NULL THEN '-' ELSE '?' END END, '' ORDER BY i) \
         FROM generate_series({begin}::bigint, {end}, {step}) i LEFT JOIN messages m ON m.id = i"
    );
    let row = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_one(connection).await;
    row.expect("rows are read").get(0)
}
