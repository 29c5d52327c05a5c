//! etcd on a control plane node.

use talos_proto::machine;

use crate::{Address, Error, Node, cosi::Kind};

const ETCD_MEMBER: Kind = Kind { call: "EtcdMember", namespace: "etcd", name: "EtcdMembers.etcd.talos.dev" };

/// Where etcd keeps its data.
const DATA: &str = "/var/lib/etcd";

/// What a node that has etcd data answers when it is asked to bootstrap.
const HAS_DATA: &str = "etcd data directory is not empty";

/// A member of the etcd cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its number.
    pub id: u64,
    /// The hostname under which it joined; empty if it was added and hasn't started yet.
    pub hostname: String,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
    /// Whether it doesn't vote yet.
    pub learner: bool,
}

impl Member {
    /// Its hostname; a member without one hasn't started yet, and is called by its number.
    pub fn name(&self) -> String {
        match self.hostname.as_str() {
            "" => format!("member {:016x}, which hasn't started", self.id),
            name => name.to_owned(),
        }
    }

    /// The address of its machine's Talos API, if its peers know its IP address.
    pub fn address(&self) -> Option<Address> {
        self.peer_urls.iter().find_map(|url| {
            let uri: http::Uri = url.parse().ok()?;
            let host = uri.host()?.trim_start_matches('[').trim_end_matches(']').to_owned();
            host.parse().ok().map(Address::of)
        })
    }
}

/// The result of a bootstrap request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bootstrap {
    /// etcd was started for the first time.
    Done,
    /// This node already has etcd data: it was bootstrapped, or joined.
    Already,
    /// The node can't do it yet; its own message.
    NotYet(String),
}

impl Node {
    /// The members of the etcd cluster as this node's own member knows them. Up to 1.13 it takes a leader, too. While etcd
    /// doesn't run, no answer ever comes: ask [`Self::services`] first.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call; [`Error::Failed`] without a leader.
    pub async fn local_etcd_members(&self) -> Result<Vec<Member>, Error> {
        let call = "EtcdMemberList";
        let request = machine::EtcdMemberListRequest { query_local: true };
        let reply = self.looked(call, || async { self.machine().etcd_member_list(request).await }).await?;
        let message = self.only(call, reply.messages)?;
        Ok(message.members.into_iter().map(of_member).collect())
    }

    /// The number of this node's own member, or `None` while its etcd isn't healthy.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call.
    pub async fn etcd_member_id(&self) -> Result<Option<u64>, Error> {
        let found: Option<talos_proto::definitions::EtcdMemberSpec> = self.resource(&ETCD_MEMBER, "local").await?;
        found
            .map(|found| u64::from_str_radix(&found.member_id, 16))
            .transpose()
            .map_err(|_| self.unreadable(ETCD_MEMBER.call, "its member_id is not hexadecimal".to_owned()))
    }

    /// Whether etcd has ever kept data on this node. A node checks the same before it bootstraps.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call.
    pub async fn has_etcd_data(&self) -> Result<bool, Error> {
        let request = machine::ListRequest { root: DATA.to_owned(), ..Default::default() };
        match self.looked_at_all("List", 10_000, || async { self.machine().list(request.clone()).await }).await {
            Ok(files) => content(&files).map_err(|why| self.unreadable("List", why)),
            Err(error) if error.message().is_some_and(says_missing) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Asks the node to start etcd for the first time in this cluster.
    ///
    /// A node doesn't know about data on other nodes: the caller must have asked every control plane before.
    ///
    /// # Errors
    ///
    /// After [`Error::Lost`] it is unknown whether it was done; else any [`Error`] of a call.
    pub async fn bootstrap(&self) -> Result<Bootstrap, Error> {
        let call = "Bootstrap";
        let answer = self.reply(call, self.machine().bootstrap(machine::BootstrapRequest::default())).await;
        match answer {
            Ok(_) => Ok(Bootstrap::Done),
            Err(Error::Failed { code: tonic::Code::AlreadyExists, .. }) => Ok(Bootstrap::Already),
            // Its data appeared while the call was under way; the code is no special one then.
            Err(Error::Failed { message, .. }) if message.contains(HAS_DATA) => Ok(Bootstrap::Already),
            Err(Error::NotYet { message, .. }) if !is_for_workers(&message) => Ok(Bootstrap::NotYet(message)),
            Err(Error::NotYet { address, message, .. }) => Err(Error::NotOffered { address, call, message }),
            Err(error) => Err(error),
        }
    }
}

/// Up to 1.12 a worker refuses with the code that means "not yet".
fn is_for_workers(message: &str) -> bool {
    message.contains("control plane node")
}

fn says_missing(words: &str) -> bool {
    words.contains("no such file or directory")
}

/// Whether a listing of the folder has something in it. Its first entry is the folder itself, so an empty listing is none;
/// what can't be read is an entry with an error, and may hold data.
fn content(files: &[machine::FileInfo]) -> Result<bool, String> {
    let unread = files.iter().find(|file| !file.error.is_empty() && !says_missing(&file.error));
    match unread {
        _ if files.iter().any(is_content) => Ok(true),
        Some(file) => Err(format!("{DATA}: {}", file.error)),
        None if files.is_empty() => Err(format!("it lists nothing, not even {DATA} itself")),
        None => Ok(false),
    }
}

fn is_content(file: &machine::FileInfo) -> bool {
    file.error.is_empty() && !matches!(file.relative_name.as_str(), "" | ".") && file.name != DATA
}

fn of_member(member: machine::EtcdMember) -> Member {
    Member { id: member.id, hostname: member.hostname, peer_urls: member.peer_urls, learner: member.is_learner }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, relative_name: &str) -> machine::FileInfo {
        machine::FileInfo { name: name.to_owned(), relative_name: relative_name.to_owned(), ..Default::default() }
    }

    #[test]
    fn a_folder_without_entries_is_no_data() {
        assert!(!is_content(&file("/var/lib/etcd", ".")));
        assert!(is_content(&file("member", "member")));
    }

    /// A node that is taken for empty is bootstrapped.
    #[test]
    fn a_folder_that_was_not_seen_is_not_empty() {
        let with = |error: &str| machine::FileInfo { error: error.to_owned(), ..file("/var/lib/etcd", "") };
        assert_eq!(content(&[file("/var/lib/etcd", ".")]), Ok(false));
        assert_eq!(content(&[with("lstat /var/lib/etcd: no such file or directory")]), Ok(false));
        assert!(content(&[]).unwrap_err().contains("it lists nothing"));
        assert!(content(&[with("open /var/lib/etcd: input/output error")]).unwrap_err().contains("input/output error"));
        assert_eq!(content(&[with("x"), file("/var/lib/etcd/member", "member")]), Ok(true));
    }

    #[test]
    fn a_missing_folder_is_no_data() {
        let mut missing = file("/var/lib/etcd", "");
        missing.error = "lstat /var/lib/etcd: no such file or directory".to_owned();

        assert!(!is_content(&missing));
        assert!(says_missing(&missing.error));
    }

    #[test]
    fn a_worker_of_the_old_generation_is_not_worth_another_try() {
        assert!(is_for_workers("bootstrap can only be performed on a control plane node"));
        assert!(!is_for_workers("bootstrap is not available yet"));
    }
}
