//! What an online change takes of the disk and of the write-ahead log, estimated from sizes.
//!
//! Measured with PostgreSQL 14 and 18 from a checkpoint to the change of names: most new versions of rows find
//! room where old ones were pruned, and need no entries in indexes. A snapshot that is kept open all the time
//! forbids that, and then the disk takes two to three times as much as is estimated here.

use reconcile_kinds::{Facts, Pieces, RelationSize, Work};
use reconcile_sql::QName;
use serde::Serialize;

use crate::step::Batch;

/// What a change takes of the disk until it is contracted, and of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Space {
    /// The table.
    pub relation: QName,
    /// Bytes that it and its indexes grow by.
    pub disk_bytes: u64,
    /// Bytes of write-ahead log.
    pub wal_bytes: u64,
}

/// What of the rows needs new pages: the pieces go in rounds.
const MOVED: f64 = 0.4;
/// What the indexes that are there grow by for these: pages split where they are full.
const SPLIT: f64 = 0.6;
/// Each page of the table as a whole, and the new version of each row.
const LOGGED_ROWS: f64 = 2.0;
/// Bytes in the log for an entry of an index, most of which are about where it is.
const LOGGED_ENTRY: f64 = 85.0;
/// Bytes of a row where nobody has counted the rows.
const ROW: f64 = 100.0;

/// What the parts of a plan take that are done in pieces.
pub(crate) fn space(batches: &[Batch], facts: &Facts) -> Vec<Space> {
    let steps = || batches.iter().flat_map(|batch| &batch.steps);
    let pieces = steps().filter_map(|step| step.pieces.as_ref());
    let one = |pieces: &Pieces| {
        let size = facts.sizes.get(&pieces.relation).copied().unwrap_or_default();
        let built =
            steps().filter(|step| step.work == Work::Build(pieces.relation.clone())).count();
        estimate(pieces, size, built, facts.logical)
    };
    pieces.map(one).collect()
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // an estimate
fn estimate(pieces: &Pieces, size: RelationSize, built: usize, logical: bool) -> Space {
    let (bytes, index_bytes) = (size.row_bytes as f64, size.index_bytes as f64);
    let rows = if size.rows < 0.0 { bytes / ROW } else { size.rows };
    // How large each index is, is not known: those that are built again are as large as others.
    let again = index_bytes * (built as f64 / f64::max(size.indexes as f64, 1.0)).min(1.0);
    // Logical replication is told the old version of each row as well; 0.85 of the table were measured.
    let told = if logical && pieces.full_identity { bytes } else { 0.0 };
    let entries = rows * MOVED * size.indexes as f64 * LOGGED_ENTRY;
    Space {
        relation: pieces.relation.clone(),
        disk_bytes: (bytes * MOVED + index_bytes * SPLIT + again) as u64,
        wal_bytes: (bytes * LOGGED_ROWS + index_bytes + entries + again + told) as u64,
    }
}
