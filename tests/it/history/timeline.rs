//! Things that last for a while, found by when.

use super::Time;

/// Things with a beginning and an end, in the order in which they began.
pub(super) struct Timeline<'h, T> {
    /// Those that end.
    passing: Vec<(Time, Time, &'h T)>,
    /// The longest of them.
    longest: Time,
    endless: Vec<(Time, &'h T)>,
}

impl<T> Default for Timeline<'_, T> {
    fn default() -> Self {
        Self { passing: Vec::new(), longest: 0, endless: Vec::new() }
    }
}

impl<'h, T> Timeline<'h, T> {
    pub(super) fn add(&mut self, from: Time, to: Time, thing: &'h T) {
        if to == Time::MAX {
            self.endless.push((from, thing));
        } else {
            self.longest = self.longest.max(to.saturating_sub(from));
            self.passing.push((from, to, thing));
        }
    }

    /// All have been added.
    pub(super) fn sorted(mut self) -> Self {
        self.passing.sort_by_key(|(from, ..)| *from);
        self
    }

    /// What is there at some moment between these.
    pub(super) fn meeting(&self, from: Time, to: Time) -> impl Iterator<Item = &'h T> {
        let earliest = from.saturating_sub(self.longest);
        let first = self.passing.partition_point(|(began, ..)| *began < earliest);
        let passing = self.passing[first..].iter().take_while(move |(began, ..)| *began <= to);
        let passing = passing.filter(move |(_, ended, _)| *ended >= from).map(|(.., thing)| *thing);
        let endless = self.endless.iter().filter(move |(began, _)| *began <= to);
        passing.chain(endless.map(|(_, thing)| *thing))
    }

    /// What begins at this moment or later, the first one first; what does not end comes after all
    /// that does.
    pub(super) fn beginning(&self, from: Time) -> impl Iterator<Item = &'h T> {
        let first = self.passing.partition_point(|(began, ..)| *began < from);
        let endless = self.endless.iter().filter(move |(began, _)| *began >= from);
        self.passing[first..]
            .iter()
            .map(|(.., thing)| *thing)
            .chain(endless.map(|(_, thing)| *thing))
    }
}
