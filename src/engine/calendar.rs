//! The calendar of a store: which segments arrive in which step.

use crate::compute::records::Segment;

/// A ring of buckets, one for each step until the longest delay.
#[derive(Debug)]
pub struct Calendar {
    buckets: Vec<Vec<Segment>>,
    mask: u64,
}

impl Calendar {
    /// A calendar for delays of up to `longest` steps.
    pub fn new(longest: u32) -> Self {
        let size = Self::buckets(longest);
        Self { buckets: (0..size).map(|_| Vec::new()).collect(), mask: size - 1 }
    }

    /// Buckets of such a calendar, 24 bytes each as long as they are empty.
    pub fn buckets(longest: u32) -> u64 {
        (u64::from(longest) + 1).next_power_of_two()
    }

    /// Bytes it holds: buckets keep the room of their fullest time.
    pub fn bytes(&self) -> usize {
        let segments: usize = self.buckets.iter().map(Vec::capacity).sum();
        self.buckets.len() * size_of::<Vec<Segment>>() + segments * size_of::<Segment>()
    }

    /// Notes that `segment` arrives in `step`, at most the longest delay ahead.
    #[inline(always)]
    pub fn push(&mut self, step: u64, segment: Segment) {
        self.buckets[(step & self.mask) as usize].push(segment);
    }

    /// What arrives in `step`.
    pub fn arriving(&self, step: u64) -> &[Segment] {
        &self.buckets[(step & self.mask) as usize]
    }

    /// Forgets what arrived in `step`; its bucket serves a later step.
    pub fn clear(&mut self, step: u64) {
        self.buckets[(step & self.mask) as usize].clear();
    }
}
