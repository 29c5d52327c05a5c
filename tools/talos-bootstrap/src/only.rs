//! Whether the etcd that a run has started is the only one.

use std::{collections::BTreeSet, sync::Arc};

use step::{Hold, Run};
use talos_access::Credentials;
use talos_client::Identity;

use crate::{
    error::Error,
    observe::{ControlPlane, elsewhere, observe},
    plan::{Observation, unsure, unsure_elsewhere},
    run::{Bootstrap, configured},
};

impl Bootstrap {
    /// The etcds of control planes that the call doesn't name. With a list of them there are none; without, they are those
    /// that the talosconfig names and those that the node has discovered.
    pub(crate) async fn elsewhere(
        &self,
        run: &Run,
        control_planes: &[ControlPlane],
        identity: &Arc<Identity>,
    ) -> Result<Vec<Observation>, Hold> {
        if !self.alone {
            return Ok(Vec::new());
        }
        let mut addresses = Credentials::at_hand(run)?.map(|at_hand| at_hand.endpoints).unwrap_or_default();
        for control_plane in control_planes {
            let Some(address) = &control_plane.address else { continue };
            let found = configured(&control_plane.name, address, identity).await?.discovered_control_planes().await?;
            addresses.extend(found);
        }
        Ok(observe(&elsewhere(addresses, control_planes), identity).await)
    }

    /// Refuses an etcd beside another one. Where it `is_new`, success is held back until it is sure that there is none: one
    /// that another run started at the same time shows itself to at least one of the two.
    pub(crate) async fn is_the_only_one(
        &self,
        run: &Run,
        (node, ids): (&str, &BTreeSet<u64>),
        (control_planes, seen): (&[ControlPlane], &[Observation]),
        identity: &Arc<Identity>,
        is_new: bool,
    ) -> Result<(), Hold> {
        let unsure = match unsure_elsewhere(ids, &self.elsewhere(run, control_planes, identity).await?) {
            Ok(elsewhere) => elsewhere.or_else(|| unsure(seen)),
            Err(other) => return Err(Error::Split(node.to_owned(), other).into()),
        };
        unsure.filter(|_| is_new).map_or(Ok(()), |why| Err(Hold::NotYet(why)))
    }
}
