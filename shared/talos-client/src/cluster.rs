//! Who belongs to the cluster, as a node's discovery knows it.

use std::net::IpAddr;

use talos_proto::definitions as spec;

use crate::{Address, Error, Node, cosi::Kind};

const MEMBER: Kind = Kind { call: "Member", namespace: "cluster", name: "Members.cluster.talos.dev" };

impl Node {
    /// The addresses of the control planes that the node has discovered, itself included; none while discovery is off.
    ///
    /// # Errors
    ///
    /// Any [`Error`] of a call.
    pub async fn discovered_control_planes(&self) -> Result<Vec<Address>, Error> {
        let found: Vec<(String, spec::ClusterMemberSpec)> = self.resources(&MEMBER).await?;
        let control_planes = found.into_iter().map(|(_, member)| member).filter(is_control_plane);
        Ok(control_planes.flat_map(|member| member.addresses).filter_map(|address| of(&address.ip)).collect())
    }
}

fn is_control_plane(member: &spec::ClusterMemberSpec) -> bool {
    matches!(member.machine_type(), spec::MachineType::Init | spec::MachineType::ControlPlane)
}

fn of(octets: &[u8]) -> Option<Address> {
    let ip: IpAddr = match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok()?.into(),
        16 => <[u8; 16]>::try_from(octets).ok()?.into(),
        _ => return None,
    };
    Some(ip.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families_are_read_and_others_left_out() {
        assert_eq!(of(&[10, 0, 0, 11]), "10.0.0.11".parse().ok());
        let six = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        assert_eq!(of(&six), "fd00::1".parse().ok());
        assert_eq!((of(&[]), of(&[1, 2, 3])), (None, None));
    }
}
