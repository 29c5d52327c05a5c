"""The lab's Proxmox VE through proxmoxer, as its users write it: python proxmox.py ENDPOINT TOKEN CA."""

import sys
import time
from urllib.parse import urlsplit

from proxmoxer import ProxmoxAPI
from proxmoxer.core import ResourceException


def connect(endpoint, token, ca):
    host = urlsplit(endpoint)
    user, secret = token.split("=", 1)
    user, name = user.split("!", 1)
    return ProxmoxAPI(
        host.hostname, port=host.port, user=user, token_name=name, token_value=secret, verify_ssl=ca, timeout=30
    )


def done(proxmox, upid):
    """Waits for a task; gives how it ended."""
    node = upid.split(":")[1]
    for _ in range(600):
        status = proxmox.nodes(node).tasks(upid).status.get()
        if status["status"] == "stopped":
            return status["exitstatus"]
        time.sleep(0.02)
    raise SystemExit(f"{upid} does not end")


def refused(call, status, text):
    try:
        call()
    except ResourceException as error:
        assert error.status_code == status, error
        assert text in str(error), error
    else:
        raise SystemExit(f"not refused: {text}")


def main(endpoint, token, ca):
    proxmox = connect(endpoint, token, ca)
    assert proxmox.version.get()["release"] == "9.2"
    node = proxmox.nodes.get()[0]["node"]
    host = proxmox.nodes(node)
    assert {"local", "local-lvm"} <= {row["storage"] for row in host.storage.get()}
    before = {vm["vmid"] for vm in proxmox.cluster.resources.get(type="vm")}

    vmid = int(proxmox.cluster.nextid.get())
    assert vmid not in before
    options = {
        "vmid": vmid,
        "name": "judged",
        "memory": 2048,
        "cpu": "x86-64-v2-AES",
        "bios": "ovmf",
        "machine": "q35",
        "efidisk0": "local-lvm:1,efitype=4m,pre-enrolled-keys=0",
        "scsi0": "local-lvm:0,import-from=local:import/talos.qcow2",
        "net0": "virtio,bridge=vmbr0",
        "agent": 1,
        "tags": "b;a",
    }
    assert done(proxmox, host.qemu.post(**options)) == "OK"
    refused(lambda: host.qemu.post(**options), 500, "already exists on node")
    vm = host.qemu(vmid)
    config = vm.config.get()
    assert config["tags"] == "a;b", config
    assert "size=4247M" in config["scsi0"] or "size=4248M" in config["scsi0"], config

    assert done(proxmox, vm.resize.put(disk="scsi0", size="20G")) == "OK"
    assert "size=20G" in vm.config.get()["scsi0"]
    assert done(proxmox, vm.resize.put(disk="scsi0", size="1G")) == "shrinking disks is not supported"

    assert done(proxmox, vm.status.start.post()) == "OK"
    for _ in range(600):
        try:
            interfaces = vm.agent("network-get-interfaces").get()["result"]
            break
        except ResourceException as error:
            assert "QEMU guest agent is not running" in str(error), error
            time.sleep(0.02)
    addresses = [address["ip-address"] for card in interfaces for address in card.get("ip-addresses", [])]
    assert any(address.startswith("127.") and address != "127.0.0.1" for address in addresses), interfaces

    refused(vm.delete, 500, "is running - destroy failed")
    assert done(proxmox, vm.status.stop.post()) == "OK"
    assert done(proxmox, vm.delete(purge=1)) == "OK"
    refused(vm.config.get, 500, "does not exist")

    refused(lambda: host.qemu.post(vmid=vmid, name="a_b"), 400, "Parameter verification failed")
    refused(lambda: connect(endpoint, token[:-1] + "x", ca).version.get(), 401, "")
    refused(lambda: connect(endpoint, "poor@pve!token=0", ca).nodes(node).status.get(), 403, "Sys.Audit")
    print("proxmoxer: all as expected")


main(*sys.argv[1:])
