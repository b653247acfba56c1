//! What a table holds of the heap.

/// The heap behind a table, in bytes, without what the allocator adds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeapBytes {
    /// Pages of records, their free places included.
    pub records: usize,
    /// The user index.
    pub by_user: usize,
    /// App names and versions, and who has them.
    pub apps: usize,
    /// User agents.
    pub agents: usize,
    /// Labels, and who has them.
    pub labels: usize,
    /// Who has which transport, who stands in no index, and whose id was told before it was opened.
    pub index: usize,
    /// What sessions have now in place of what they were opened with.
    pub changes: usize,
}
