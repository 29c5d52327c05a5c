//! Destroying a VM of ours.

use pve_client::{Kind, request};
use step::Stop;

use crate::{changes::VmOperation, error::Error, identity::Owner};

impl VmOperation<'_> {
    /// Stops the VM and destroys it with its disks. Right before, it checks once more that the VM is ours.
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
                // The reply of a success may have been lost.
                Err(error) if error.kind() == Some(Kind::NotFound) => Ok(()),
                ended => ended,
            }
        });
        removed.await?;
        self.run.say(self.node, &format!("destroyed VM {vmid} on {host}"));
        Ok(())
    }
}
