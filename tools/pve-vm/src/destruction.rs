//! Removing a VM that is ours.

use pve_client::{Kind, request};
use step::Stop;

use crate::{changes::VmAtWork, error::Error, identity::Owner};

impl VmAtWork<'_> {
    /// Switches the VM off and removes it with its disks. What it is, is read once more right before.
    pub(crate) async fn destroy(&self) -> Result<(), Stop> {
        let (host, vmid) = (&self.location.host, self.location.vmid);
        let config = match self.fleet.pve.ask(&request::config(host, vmid)).await {
            Err(error) if error.kind() == Some(Kind::NotFound) => return Ok(()),
            config => config?,
        };
        if self.fleet.identity.owner(&config, &self.machine.name) != Owner::Ours {
            let node = self.machine.name.clone();
            return Err(Error::Unmarked { vmid, host: host.clone(), node }.into());
        }
        let _slot = self.run.slot(self.node).await?;
        let stop = request::stop(host, vmid);
        self.persist(|| self.fleet.pve.run(&stop, self.run.wait_timeout())).await?;
        let destroy = request::destroy(host, vmid);
        let removed = self.persist(|| async {
            match self.fleet.pve.run(&destroy, self.run.wait_timeout()).await {
                // A reply that was lost may have been a success.
                Err(error) if error.kind() == Some(Kind::NotFound) => Ok(()),
                ended => ended,
            }
        });
        removed.await?;
        self.run.say(self.node, &format!("destroyed VM {vmid} on {host}"));
        Ok(())
    }
}
