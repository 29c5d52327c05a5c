//! Files that others put onto storages, and networks that hosts do not reach.

use super::state::State;
use super::{Pve, driver};
use lab_core::disk_image::{Found, Reader};

/// A file that somebody puts onto a storage at a certain moment.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Part of the path of the request before which it comes.
    path: String,
    /// How many such requests come before that one.
    before: u64,
    node: String,
    /// `storage:content/file`.
    volume: String,
    found: Found,
}

impl Pve {
    /// Puts a file with these bytes onto a storage (`local:import/talos.qcow2`) just before the request is answered that
    /// has this text in its path and comes after `before` others of the kind.
    pub fn appears_at(&self, path: &str, before: u64, node: &str, volume: &str, bytes: &[u8]) {
        let mut reader = Reader::default();
        reader.write(bytes);
        let (path, node, volume) = (path.to_owned(), node.to_owned(), volume.to_owned());
        let arrival = Arrival { path, before, node, volume, found: reader.finish() };
        self.driver.with(|state| state.faults.arrivals.push(arrival));
    }

    /// Fails every download by a host with what the program that downloads says last.
    pub fn fail_downloads(&self, text: &str) {
        self.driver.with(|state| state.faults.unreached = Some(text.to_owned()));
    }
}

impl State {
    /// Puts the files in their places that come before a request.
    pub(crate) fn arrive(&mut self, path: &str) {
        for arrival in &mut self.faults.arrivals {
            if path.contains(&arrival.path) {
                match arrival.before.checked_sub(1) {
                    Some(left) => arrival.before = left,
                    None => arrival.path.clear(),
                }
            }
        }
        let (here, later) = std::mem::take(&mut self.faults.arrivals).into_iter().partition(|it| it.path.is_empty());
        self.faults.arrivals = later;
        let here: Vec<Arrival> = here;
        for Arrival { node, volume, found, .. } in here {
            let Some((name, rest)) = volume.split_once(':') else { continue };
            let (Some((content, file)), Ok(storage)) = (rest.split_once('/'), self.storage(name)) else { continue };
            self.volumes.store(&storage, &node, content, file, found, driver::now());
        }
    }
}
