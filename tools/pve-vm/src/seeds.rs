//! Seeds that are done with: a node that runs a config which it will find again doesn't need the one that it came from.

use pve_access::seed::Removal;
use record::Change;
use step::Stop;
use talos_access::Credentials;
use talos_client::{Address, Limits, Probe, probe};

use crate::{changes::VmOperation, reconcile::Reconcile};

impl<'a> Reconcile<'a> {
    /// Removes the seed of a node that has its config. One that can't be asked keeps it until the next run.
    pub(crate) async fn clear_seed(
        &self,
        operation: &VmOperation<'a>,
        addresses: &[String],
    ) -> Result<Option<Change>, Stop> {
        match self.has_needless_seed(operation, addresses).await {
            Some(change) => {
                let removed = operation.seed().remove().await?;
                self.run.say(self.node, &format!("{} has its config: its seed is removed", operation.location));
                Ok(removed.or(Some(change)))
            }
            None => Ok(None),
        }
    }

    /// The removal of a seed that is done with.
    pub(crate) async fn has_needless_seed(&self, operation: &VmOperation<'a>, addresses: &[String]) -> Option<Change> {
        let seen = self.found.and_then(|known| known.config.as_ref().ok());
        match seen.filter(|config| operation.seed().is_due(config)) {
            Some(config) if self.keeps_its_config(addresses).await => Removal::change(config),
            _ => None,
        }
    }

    /// Whether the node itself says that its config is on its disk.
    async fn keeps_its_config(&self, addresses: &[String]) -> bool {
        let Ok(Some(credentials)) = Credentials::at_hand(self.run) else { return false };
        let Some(Ok(address)) = addresses.first().map(|text| text.parse::<Address>()) else { return false };
        match probe(&address, Some(&credentials.identity), Limits::default()).await {
            Ok(Probe::Ours(found)) => {
                let is_this = found.uuid.as_deref().is_some_and(|uuid| uuid.eq_ignore_ascii_case(&self.machine.uuid));
                is_this && found.node.keeps_machine_config().await.unwrap_or_default()
            }
            _ => false,
        }
    }
}
