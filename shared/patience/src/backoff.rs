//! The schedule of the pauses between attempts.

use std::time::Duration;

/// The pauses between attempts: each 1.5 times the one before, from `first` up to `most`, each shortened by up to a
/// quarter at random.
///
/// With `first` = 20 ms and `most` = 3 s the pauses are at most 0.02, 0.03, 0.05, 0.07, 0.10, 0.15, 0.23, 0.34, 0.51,
/// 0.77, 1.2, 1.7, 2.6, 3, 3, … seconds: a condition that is almost met is seen almost immediately, and one that takes
/// minutes is checked about twenty times a minute. The random part keeps nodes that began to wait together from being
/// asked together; it comes from a seed, so that a test can repeat it.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    most: Duration,
    seed: u64,
}

impl Backoff {
    /// A schedule that begins with `first` and ends with `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { next: first.min(most), most, seed: 0 }
    }

    /// The schedule for asking a node or a hypervisor: 20 ms to 3 s.
    pub fn usual() -> Self {
        Self::new(Duration::from_millis(20), Duration::from_secs(3))
    }

    /// The same pause every time, but for the random part.
    pub fn steady(pause: Duration) -> Self {
        Self::new(pause, pause)
    }

    /// The same schedule with another random part; a node's name makes a good seed.
    #[must_use]
    pub fn seeded(mut self, seed: &str) -> Self {
        self.seed = seed
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        self
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = pause.mul_f64(1.5).min(self.most);
        pause.mul_f64(1.0 - 0.25 * self.chance())
    }

    /// The next number of the SplitMix64 sequence, between 0 and 1.
    fn chance(&mut self) -> f64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.seed;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        f64::from(u32::try_from(bits >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(mut backoff: Backoff, count: usize) -> Vec<Duration> {
        (0..count).map(|_| backoff.pause()).collect()
    }

    #[test]
    fn pauses_grow_to_the_most_and_stay_there() {
        let pauses = pauses(Backoff::usual(), 40);

        assert!(pauses[0] <= Duration::from_millis(20));
        assert!(pauses[0] >= Duration::from_millis(15));
        assert!(pauses[3] > pauses[0]);
        for pause in &pauses[20..] {
            assert!(*pause <= Duration::from_secs(3) && *pause >= Duration::from_millis(2250));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_pauses_and_another_seed_others() {
        let backoff = |seed| Backoff::steady(Duration::from_secs(1)).seeded(seed);

        assert_eq!(pauses(backoff("cp-1"), 5), pauses(backoff("cp-1"), 5));
        assert_ne!(pauses(backoff("cp-1"), 5), pauses(backoff("cp-2"), 5));
    }
}
