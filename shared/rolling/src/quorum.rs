//! Is there a quorum without this node? Pure.

/// How long the node will be away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// It comes back with its data: a changed config, a reboot, a power cycle.
    ForAWhile,
    /// Its data is destroyed.
    ForGood,
}

/// A member of etcd that votes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voter {
    /// Its number.
    pub id: u64,
    /// The hostname under which it joined; the number, for a member that has none yet.
    pub name: String,
    /// Whether its own node reports that it votes in a cluster with a leader.
    pub healthy: bool,
    /// Whether it is the one of the node that is to be taken down.
    pub own: bool,
}

/// What etcd would lose with the node.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// All there is.
    #[error("etcd would be lost: this node is its only member")]
    Everything,
    /// More votes than it can do without.
    #[error("etcd would lose quorum without this node ({})", reason(.unhealthy, *.left, *.voters))]
    Quorum {
        /// The names of the others that are not healthy.
        unhealthy: Vec<String>,
        /// How many of the others are healthy.
        left: usize,
        /// How many members vote.
        voters: usize,
    },
}

fn reason(unhealthy: &[String], left: usize, voters: usize) -> String {
    match unhealthy.is_empty() {
        true => format!("{left} of {voters} voting members would be left"),
        false => format!("unhealthy: {}", unhealthy.join(", ")),
    }
}

/// Whether etcd keeps its quorum without the node: the others that are healthy are a majority of all that vote.
///
/// A node that comes back may also be away while all others are healthy: one or two voters stand still as long as it
/// takes, and have lost nothing. A node that is no member takes no vote with it; as long as some member is known to no
/// node that answers, it may be this one.
///
/// # Errors
/// What etcd would lose.
pub fn without(voters: &[Voter], away: Away) -> Result<(), Loss> {
    let (own, others): (Vec<_>, Vec<_>) = voters.iter().partition(|voter| voter.own);
    let unhealthy: Vec<String> = others.iter().filter(|voter| !voter.healthy).map(|voter| voter.name.clone()).collect();
    let left = others.len() - unhealthy.len();
    let may_vote = !own.is_empty() || !unhealthy.is_empty();
    if !may_vote || left > voters.len() / 2 || (away == Away::ForAWhile && unhealthy.is_empty()) {
        return Ok(());
    }
    match others.is_empty() {
        true => Err(Loss::Everything),
        false => Err(Loss::Quorum { unhealthy, left, voters: voters.len() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One letter a voter: `O` and `o` is the node itself, `H` is healthy, `d` is dead; capital letters are healthy.
    fn voters(letters: &str) -> Vec<Voter> {
        let voter = |(at, letter): (usize, char)| Voter {
            id: at as u64 + 1,
            name: format!("cp-{}", at + 1),
            healthy: letter.is_ascii_uppercase(),
            own: letter.eq_ignore_ascii_case(&'o'),
        };
        letters.chars().enumerate().map(voter).collect()
    }

    #[test]
    fn a_quorum_is_a_majority_of_all_that_vote_however_many_there_are() {
        // voters, whether it may go for a while, whether for good
        let table = [
            ("O", true, false),
            ("o", true, false),
            ("OH", true, false),
            ("Od", false, false),
            ("OHH", true, true),
            ("oHH", true, true),
            ("OHd", false, false),
            ("Odd", false, false),
            ("OHHH", true, true),
            ("OHHd", false, false),
            ("OHHHH", true, true),
            ("OHHHd", true, true),
            ("OHHdd", false, false),
            // A dead member that was replaced under another name still counts.
            ("OHHd", false, false),
        ];
        for (letters, for_a_while, for_good) in table {
            let may = |away| without(&voters(letters), away).is_ok();
            assert_eq!((may(Away::ForAWhile), may(Away::ForGood)), (for_a_while, for_good), "{letters}");
        }
    }

    #[test]
    fn a_node_that_is_no_member_takes_no_vote_unless_it_may_be_the_member_that_nobody_knows() {
        for (letters, may) in [("", true), ("H", true), ("HH", true), ("HHH", true), ("Hd", false), ("HHd", true)] {
            assert_eq!(without(&voters(letters), Away::ForGood).is_ok(), may, "{letters}");
        }
    }

    #[test]
    fn a_loss_says_who_is_not_healthy_or_how_many_would_be_left() {
        let says = |letters, away| without(&voters(letters), away).unwrap_err().to_string();

        let quorum = "etcd would lose quorum without this node";
        assert_eq!(says("Odd", Away::ForAWhile), format!("{quorum} (unhealthy: cp-2, cp-3)"));
        assert_eq!(says("OH", Away::ForGood), format!("{quorum} (1 of 2 voting members would be left)"));
        assert_eq!(says("O", Away::ForGood), "etcd would be lost: this node is its only member");
    }
}
