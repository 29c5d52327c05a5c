"""The lab's Proxmox VE through proxmoxer, as its users write it: python proxmox.py ENDPOINT TOKEN CA."""

import base64
import hmac
import struct
import sys
import time
from urllib.parse import urlsplit

from proxmoxer import ProxmoxAPI
from proxmoxer.core import AuthenticationError, ResourceException


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


def log_in(endpoint, ca, user, **more):
    host = urlsplit(endpoint)
    return ProxmoxAPI(host.hostname, port=host.port, user=user, password="pw", verify_ssl=ca, timeout=30, **more)


def code(secret):
    """RFC 6238, with the defaults."""
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", int(time.time()) // 30), "sha1").digest()
    place = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[place:place + 4])[0] & 0x7FFFFFFF) % 1000000:06}"


def tickets(endpoint, ca, secret):
    """Who has a second factor needs it; who has none has a ticket at once."""
    try:
        log_in(endpoint, ca, "factor@pve", otp="000000")
    except AuthenticationError as error:
        assert "Two Factor Authentication" in str(error), error
    else:
        raise SystemExit("a wrong code is enough")
    assert log_in(endpoint, ca, "factor@pve", otp=code(secret)).version.get()
    return log_in(endpoint, ca, "root@pam")


def automation_user(endpoint, root, ca):
    """What the documentation of tools tells their users to set up; gives the token."""
    root.access.roles.post(roleid="Automation", privs="Sys.Audit,VM.Audit")
    assert root.access.roles("Automation").get() == {"Sys.Audit": 1, "VM.Audit": 1}
    root.access.groups.post(groupid="machines")
    root.access.users.post(userid="robot@pve", groups="machines", comment="a robot")
    made = root.access.users("robot@pve").token("cli").post(privsep=1)
    token = f"{made['full-tokenid']}={made['value']}"
    robot = connect(endpoint, token, ca)
    node = root.nodes.get()[0]["node"]
    assert robot.access.permissions.get() == {}
    root.access.acl.put(path="/", groups="machines", roles="Automation")
    refused(robot.nodes(node).status.get, 403, "Sys.Audit")
    root.access.acl.put(path="/", tokens="robot@pve!cli", roles="Automation")
    assert robot.nodes(node).status.get()["pveversion"]
    assert robot.access.permissions.get()["/"] == {"Sys.Audit": 1, "VM.Audit": 1}
    rights = [right for right in root.access.acl.get() if right["ugid"] == "robot@pve!cli"]
    assert [right["roleid"] for right in rights] == ["Automation"], rights
    refused(lambda: root.access.roles.post(roleid="Old", privs="VM.Monitor"), 400, "invalid privilege 'VM.Monitor'")
    refused(lambda: robot.access.users.post(userid="x@pve"), 403, "Realm.AllocateUser")
    root.access.users("robot@pve").token("cli").delete()
    refused(robot.version.get, 401, "")
    root.access.users("robot@pve").delete()
    root.access.roles("Automation").delete()


def actions(root, vm):
    """What is done to a VM over its life."""
    assert done(root, vm.status.suspend.post()) == "OK"
    assert vm.status.current.get()["qmpstatus"] == "paused"
    refused(vm.status.reboot.post, 500, "VM is paused - cannot shutdown")
    assert done(root, vm.status.resume.post()) == "OK"
    assert done(root, vm.snapshot.post(snapname="before", description="the first")) == "OK"
    vm.config.put(description="changed", memory=1024)
    names = [row["name"] for row in vm.snapshot.get()]
    assert names == ["before", "current"], names
    assert done(root, vm.snapshot("before").rollback.post()) == "OK"
    config = vm.config.get()
    assert (int(config["memory"]), config["parent"]) == (2048, "before"), config
    assert done(root, vm.snapshot("before").delete()) == "OK"
    assert "parent" not in vm.config.get()
    assert done(root, vm.move_disk.post(disk="scsi0", storage="spare")) == "OK"
    config = vm.config.get()
    assert config["scsi0"].startswith("spare:") and config["unused0"].startswith("local-lvm:"), config
    vm.unlink.put(idlist="unused0")
    assert "unused0" not in vm.config.get()
    assert done(root, vm.status.reset.post() if vm.status.current.get()["status"] == "running" else vm.status.start.post()) == "OK"


def backup(root, host, vmid):
    assert done(root, host.vzdump.post(vmid=vmid, storage="spare", compress="zstd", mode="snapshot")) == "OK"
    archives = host.storage("spare").content.get(content="backup", vmid=vmid)
    assert [archive["format"] for archive in archives] == ["vma.zst"], archives


def main(endpoint, token, ca, secret):
    root = tickets(endpoint, ca, secret)
    automation_user(endpoint, root, ca)
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

    actions(root, root.nodes(node).qemu(vmid))
    backup(root, root.nodes(node), vmid)
    refused(lambda: vm.status.stop.post(skiplock=1), 400, "Only root may use this option.")

    refused(vm.delete, 500, "is running - destroy failed")
    assert done(proxmox, vm.status.stop.post()) == "OK"
    assert done(proxmox, vm.delete(purge=1)) == "OK"
    refused(vm.config.get, 500, "does not exist")

    refused(lambda: host.qemu.post(vmid=vmid, name="a_b"), 400, "Parameter verification failed")
    refused(lambda: connect(endpoint, token[:-1] + "x", ca).version.get(), 401, "")
    refused(lambda: connect(endpoint, "poor@pve!token=0", ca).nodes(node).status.get(), 403, "Sys.Audit")
    print("proxmoxer: all as expected")


main(*sys.argv[1:])
