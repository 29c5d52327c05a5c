//! Talos's releases and the Kubernetes that goes with each: a new release is a row here. What changed with a release is
//! a [`Gate`]; [`Version`] is the one reader of `v1.13.9`.
//!
//! The pipe runs the releases marked so; configs alone are generated for all, up to the one that Talos is developing.
//!
//! Sources: Talos's `pkg/machinery/constants` (`DefaultKubernetesVersion`) of the last tag of each release, and
//! `pkg/machinery/compatibility`.

mod gate;
mod version;

pub use gate::Gate;
pub use version::{BadVersion, Version};

/// A minor release of Talos 1.x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its minor.
    pub minor: u32,
    /// The Kubernetes version that it defaults to, with `v`: of its last patch; before 1.6 and from 1.14 on, the last known
    /// patch of that Kubernetes minor.
    pub kubernetes: &'static str,
    /// Its stage.
    pub stage: Stage,
    /// What its configs and rules were last compared with.
    pub compared: Compared,
}

/// A comparison with upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// The version of Talos's own code: a release, or a commit of `main`.
    pub with: &'static str,
    /// The day: of the comparison, or of the commit.
    pub on: &'static str,
}

impl std::fmt::Display for Compared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, {}", self.with, self.on)
    }
}

/// The stage of a release, here and at Talos.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Configs can be generated for it; the pipe no longer runs it.
    Past,
    /// The pipe runs it.
    Piped,
    /// It isn't released yet; configs can be generated for it.
    Coming,
}

use Stage::{Coming, Past, Piped};

/// Every release, oldest first.
pub const RELEASES: [Release; 13] = [
    release(3, "v1.26.15", Past, MAIN),
    release(4, "v1.27.16", Past, MAIN),
    release(5, "v1.28.15", Past, MAIN),
    release(6, "v1.29.7", Past, MAIN),
    release(7, "v1.30.5", Past, MAIN),
    release(8, "v1.31.4", Past, MAIN),
    release(9, "v1.32.4", Past, MAIN),
    release(10, "v1.33.6", Past, MAIN),
    release(11, "v1.34.1", Past, MAIN),
    release(12, "v1.35.4", Piped, LAST),
    release(13, "v1.36.3", Piped, compared("v1.13.9", "2026-11-30")),
    release(14, "v1.37.2", Piped, LAST),
    release(15, "v1.37.2", Coming, MAIN),
];

const fn release(minor: u32, kubernetes: &'static str, stage: Stage, compared: Compared) -> Release {
    Release { minor, kubernetes, stage, compared }
}

/// Upstream's `main`, whose own test data hold the configs of every release.
const MAIN: Compared = compared("main ad88231", "2026-08-21");
/// The last release whose module was read; it also writes configs for older ones.
const LAST: Compared = compared("v1.14.1", "2026-11-30");

const fn compared(with: &'static str, on: &'static str) -> Compared {
    Compared { with, on }
}

/// The releases that the pipe runs, oldest first.
pub fn piped() -> impl Iterator<Item = &'static Release> {
    RELEASES.iter().filter(|release| release.stage == Piped)
}

/// How many minors of Kubernetes a Talos runs, its default being the newest.
const WINDOW: u32 = 6;

/// The release of a minor.
#[must_use]
pub fn find(minor: u32) -> Option<&'static Release> {
    RELEASES.iter().find(|release| release.minor == minor)
}

/// The release that a version such as `v1.13.9` belongs to.
#[must_use]
pub fn of_version(version: &str) -> Option<&'static Release> {
    Version::minor_of(version).filter(|(major, _)| *major == 1).and_then(|(_, minor)| find(minor))
}

/// The minor of the newest release that is out.
#[must_use]
pub const fn newest_stable() -> u32 {
    let mut at = RELEASES.len() - 1;
    while matches!(RELEASES[at].stage, Coming) {
        at -= 1;
    }
    RELEASES[at].minor
}

impl Release {
    /// The oldest and the newest Kubernetes minor that it runs: `(31, 36)` for 1.31 to 1.36.
    #[must_use]
    pub fn kubernetes_window(&self) -> (u32, u32) {
        let newest =
            Version::minor_of(self.kubernetes).expect("the versions of the table are readable, which a test holds");
        let newest = newest.1;
        (newest + 1 - WINDOW, newest)
    }

    /// Whether it runs a Kubernetes version.
    #[must_use]
    pub fn runs(&self, kubernetes: &str) -> bool {
        let (oldest, newest) = self.kubernetes_window();
        Version::minor_of(kubernetes).is_some_and(|(major, minor)| major == 1 && (oldest..=newest).contains(&minor))
    }
}

impl std::fmt::Display for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "v1.{}", self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_release_defaults_to_a_kubernetes_that_is_not_out() {
        for release in RELEASES {
            let version: Version = release.kubernetes.parse().unwrap();
            assert!(!release.kubernetes.contains('-') && version.to_string() == release.kubernetes, "{release}");
        }
        assert_eq!(newest_stable(), 14);
        assert_eq!(find(14).unwrap().kubernetes_window(), (32, 37));
    }

    #[test]
    fn each_release_says_what_it_was_compared_with_and_when() {
        let is_date = |text: &str| text.len() == 10 && text.starts_with("20") && text.matches('-').count() == 2;
        for release in RELEASES {
            assert!(!release.compared.with.is_empty() && is_date(release.compared.on), "{release}");
            // The pipe runs nothing that was compared with a branch alone.
            assert!(release.stage != Piped || release.compared.with.parse::<Version>().is_ok(), "{release}");
        }
    }

    #[test]
    fn releases_follow_each_other_and_run_their_own_kubernetes() {
        assert!(RELEASES.windows(2).all(|pair| pair[0].minor + 1 == pair[1].minor));
        for release in RELEASES {
            assert!(release.runs(release.kubernetes), "{release}");
        }
    }

    #[test]
    fn past_releases_come_before_those_of_the_pipe_and_what_is_coming_comes_last() {
        assert!(RELEASES.is_sorted_by_key(|release| release.stage as u8));
        assert_eq!(find(newest_stable()).unwrap().stage, Piped);
    }

    #[test]
    fn a_talos_runs_six_minors_of_kubernetes() {
        let release = find(13).unwrap();
        assert_eq!(release.kubernetes_window(), (31, 36));
        assert!(
            release.runs("1.31.0") && !release.runs("v1.30.0") && !release.runs("v1.37.0") && !release.runs("2.31")
        );
    }
}
