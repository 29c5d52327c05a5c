//! What is left to do with a config, by what a node runs, keeps for its next boot, and only tries. Pure.

use talos_client::Mode;

use crate::delivery::Has;

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// Nothing: the node has the config, as far as the mode asks for that.
    Nothing(Has),
    /// Wait, for this reason.
    Wait(&'static str),
    /// Send it.
    Send,
}

/// Whether it matters if the node only tries what it runs.
pub(crate) fn minds_a_try(mode: Mode, runs: bool, keeps: Option<bool>) -> bool {
    match mode {
        Mode::Try(_) => true,
        Mode::Staged => !runs && keeps != Some(true),
        Mode::Auto | Mode::NoReboot | Mode::Reboot => runs && keeps != Some(false),
    }
}

/// Decides. `keeps` is `None` if the node doesn't show what it boots with, `tries` if it doesn't say whether it tries what it
/// runs.
///
/// A config that runs and isn't kept goes away, by itself or with the next boot. What a node goes back to after a try is
/// what ran when the last try began (1.13.9 and 1.14.1, `RollbackToConfigAfter`): a second one makes the first one stay. Any
/// other mode ends the try, and leaves what is tried running.
pub(crate) fn next(mode: Mode, runs: bool, keeps: Option<bool>, tries: Option<bool>) -> Next {
    match mode {
        Mode::Try(_) if runs && (keeps == Some(false) || tries == Some(true)) => Next::Nothing(Has::Tried),
        Mode::Try(_) if runs => Next::Nothing(Has::Applied),
        Mode::Try(_) if tries == Some(true) => {
            Next::Wait("it tries another config, which a second try would make stay, until it reverts that one")
        }
        Mode::Staged if keeps == Some(true) || (keeps.is_none() && runs) => {
            Next::Nothing(if runs { Has::Applied } else { Has::Staged })
        }
        Mode::Staged if !runs && tries == Some(true) => {
            Next::Wait("it tries another config, which it wouldn't revert any more, until it has reverted that one")
        }
        Mode::Try(_) | Mode::Staged => Next::Send,
        // One that is kept, too, may be tried over another: then that one comes back.
        Mode::Auto | Mode::NoReboot | Mode::Reboot => match runs && keeps != Some(false) && tries != Some(true) {
            true => Next::Nothing(Has::Applied),
            false => Next::Send,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRY: Mode = Mode::Try(std::time::Duration::from_secs(60));
    const KEPT: [Option<bool>; 3] = [Some(true), Some(false), None];

    #[test]
    fn a_config_that_runs_and_is_not_kept_is_not_done_and_a_staged_one_need_not_run() {
        for mode in [Mode::Auto, Mode::NoReboot, Mode::Reboot] {
            for (runs, keeps, tries, done) in [
                (true, Some(true), Some(false), true),
                (true, None, None, true),
                (true, Some(true), Some(true), false),
                (true, None, Some(true), false),
                (true, Some(false), None, false),
                (false, Some(true), None, false),
            ] {
                let wanted = if done { Next::Nothing(Has::Applied) } else { Next::Send };
                assert_eq!(next(mode, runs, keeps, tries), wanted, "{mode:?} {runs} {keeps:?} {tries:?}");
            }
        }
        assert_eq!(next(Mode::Staged, false, Some(true), None), Next::Nothing(Has::Staged));
        assert_eq!(next(Mode::Staged, true, Some(true), None), Next::Nothing(Has::Applied));
        assert_eq!(next(Mode::Staged, true, None, None), Next::Nothing(Has::Applied));
        assert_eq!(next(Mode::Staged, true, Some(false), None), Next::Send);
        assert_eq!(next(Mode::Staged, false, None, Some(false)), Next::Send);
    }

    #[test]
    fn what_is_tried_is_not_tried_again_and_no_other_config_is_tried_or_staged_over_it() {
        for keeps in KEPT {
            assert_eq!(next(TRY, true, keeps, Some(true)), Next::Nothing(Has::Tried), "{keeps:?}");
            assert!(matches!(next(TRY, false, keeps, Some(true)), Next::Wait(_)), "{keeps:?}");
            assert_eq!(next(TRY, false, keeps, Some(false)), Next::Send, "{keeps:?}");
            assert_eq!(next(TRY, false, keeps, None), Next::Send, "{keeps:?}");
        }
        assert_eq!(next(TRY, true, Some(false), None), Next::Nothing(Has::Tried), "it goes with the next boot");
        assert_eq!(next(TRY, true, Some(true), Some(false)), Next::Nothing(Has::Applied));
        assert!(matches!(next(Mode::Staged, false, Some(false), Some(true)), Next::Wait(_)));
        assert_eq!(next(Mode::Staged, true, Some(false), Some(true)), Next::Send, "that keeps what runs");
    }

    #[test]
    fn a_try_is_looked_for_wherever_it_decides() {
        for mode in [Mode::Auto, Mode::NoReboot, Mode::Reboot, Mode::Staged, TRY] {
            for (runs, keeps) in [true, false].iter().flat_map(|runs| KEPT.map(|keeps| (*runs, keeps))) {
                let differs = next(mode, runs, keeps, Some(true)) != next(mode, runs, keeps, Some(false));
                assert!(!differs || minds_a_try(mode, runs, keeps), "{mode:?} {runs} {keeps:?}");
            }
        }
    }
}
