# A small cluster as it is made with Terraform, for the lab's judges.
terraform {
  required_providers {
    proxmox = { source = "bpg/proxmox" }
    talos   = { source = "siderolabs/talos" }
  }
}

variable "endpoint" {}
variable "password" { sensitive = true }
variable "factory" {}
variable "network" {}
variable "cores" { default = 2 }
variable "disk" { default = 20 }
variable "label" { default = "one" }

locals {
  version  = "v1.13.9"
  template = { id = 900, name = "template" }
  nodes = {
    cp-1 = { id = 201, type = "controlplane", address = "${var.network}.11" }
    w-1  = { id = 202, type = "worker", address = "${var.network}.12" }
  }
  control_planes = [local.nodes.cp-1.address]
}

provider "proxmox" {
  endpoint = var.endpoint
  username = "root@pam"
  password = var.password
  insecure = true
}

provider "talos" {
  image_factory_url = var.factory
}

data "proxmox_version" "this" {}
data "proxmox_virtual_environment_nodes" "this" {}

data "proxmox_virtual_environment_vms" "nodes" {
  tags       = ["talos"]
  depends_on = [proxmox_virtual_environment_vm.node]
}

resource "proxmox_virtual_environment_pool" "this" {
  pool_id = "talos"
  comment = "Nodes"
}

resource "proxmox_virtual_environment_role" "watch" {
  role_id    = "watch"
  privileges = ["VM.Audit", "Datastore.Audit"]
}

resource "proxmox_virtual_environment_user" "watch" {
  user_id  = "watch@pve"
  comment  = "Watches"
  password = "watch-and-learn"
}

resource "proxmox_user_token" "watch" {
  user_id    = proxmox_virtual_environment_user.watch.user_id
  token_name = "watch"
}

resource "proxmox_acl" "watch" {
  token_id = proxmox_user_token.watch.id
  role_id  = proxmox_virtual_environment_role.watch.role_id
  path     = "/pool/${proxmox_virtual_environment_pool.this.pool_id}"
}

data "talos_image_factory_extensions_versions" "this" {
  talos_version = local.version
  filters       = { names = ["qemu-guest-agent"] }
}

resource "talos_image_factory_schematic" "this" {
  schematic = yamlencode({
    customization = {
      systemExtensions = {
        officialExtensions = data.talos_image_factory_extensions_versions.this.extensions_info[*].name
      }
    }
  })
}

data "talos_image_factory_urls" "this" {
  talos_version = local.version
  schematic_id  = talos_image_factory_schematic.this.id
  platform      = "nocloud"
}

resource "proxmox_download_file" "talos" {
  content_type = "import"
  datastore_id = "local"
  node_name    = "pve1"
  url          = replace(data.talos_image_factory_urls.this.urls.disk_image, "raw.xz", "qcow2")
  file_name    = "talos.qcow2"
}

resource "proxmox_virtual_environment_vm" "node" {
  for_each        = local.nodes
  name            = each.key
  node_name       = "pve1"
  vm_id           = each.value.id
  pool_id         = proxmox_virtual_environment_pool.this.pool_id
  tags            = ["talos"]
  machine         = "q35"
  bios            = "ovmf"
  scsi_hardware   = "virtio-scsi-single"
  boot_order      = ["scsi0"]
  stop_on_destroy = true

  agent {
    enabled = true
    # The lab's addresses are loopback's, which the provider does not count as ones.
    wait_for_ip { disabled = true }
  }
  startup { order = "1" }
  cpu {
    cores = var.cores
    type  = "x86-64-v2-AES"
  }
  memory { dedicated = 4096 }
  efi_disk {
    datastore_id = "local-lvm"
    type         = "4m"
  }
  tpm_state {
    datastore_id = "local-lvm"
    version      = "v2.0"
  }
  disk {
    datastore_id = "local-lvm"
    import_from  = proxmox_download_file.talos.id
    interface    = "scsi0"
    iothread     = true
    discard      = "on"
    size         = var.disk
  }
  network_device { bridge = "vmbr0" }
  serial_device {}
  initialization {
    datastore_id = "local-lvm"
    dns { servers = ["1.1.1.1"] }
    ip_config {
      ipv4 {
        address = "${each.value.address}/24"
        gateway = "${var.network}.1"
      }
    }
  }
}

resource "proxmox_virtual_environment_vm" "template" {
  name      = local.template.name
  node_name = "pve1"
  vm_id     = local.template.id
  template  = true
  started   = false
  disk {
    datastore_id = "local-lvm"
    import_from  = proxmox_download_file.talos.id
    interface    = "scsi0"
    size         = 10
  }
}

resource "proxmox_virtual_environment_vm" "clone" {
  name      = "clone"
  node_name = "pve2"
  vm_id     = 203
  started   = false
  clone {
    vm_id     = proxmox_virtual_environment_vm.template.vm_id
    node_name = "pve1"
  }
}

# Many options at once: each must be read as it was written.
resource "proxmox_virtual_environment_vm" "options" {
  name                = "options"
  description         = "# Title\ntwo: lines, with 100% & umläut\n"
  node_name           = "pve1"
  vm_id               = 204
  tags                = ["a", "b"]
  stop_on_destroy     = true
  reboot_after_update = false
  tablet_device       = false
  keyboard_layout     = "de"
  kvm_arguments       = "-snapshot"
  hotplug             = "network,disk,usb"

  cpu {
    cores    = var.cores
    sockets  = 2
    type     = "host"
    flags    = ["+aes"]
    limit    = 3
    units    = 200
    numa     = true
    affinity = "0-3"
  }
  memory {
    dedicated = 2048
    floating  = 1024
  }
  rng {
    source    = "/dev/urandom"
    max_bytes = 1024
  }
  smbios {
    product = "Thing One"
    serial  = "ds=nocloud;h=options"
  }
  usb {
    host = "1234:5678"
    usb3 = true
  }
  watchdog {
    enabled = true
    action  = "reset"
  }
  disk {
    datastore_id = "local-lvm"
    interface    = "virtio0"
    size         = 8
    cache        = "writeback"
    aio          = "threads"
    serial       = "ABC"
    replicate    = false
    speed {
      read            = 100
      write_burstable = 200
    }
  }
  network_device {
    bridge       = "vmbr0"
    mtu          = 1450
    queues       = 2
    rate_limit   = 12.5
    vlan_id      = 5
    trunks       = "10;20"
    disconnected = true
    firewall     = true
  }
  initialization {
    datastore_id = "local-lvm"
    interface    = "scsi5"
    type         = "nocloud"
    upgrade      = false
    dns {
      servers = ["1.1.1.1", "2606:4700::1111"]
      domain  = "lab.lan"
    }
    ip_config {
      ipv4 { address = "dhcp" }
      ipv6 { address = "auto" }
    }
    user_account {
      username = var.label
      password = "password-of-${var.label}"
      keys     = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== a+b@example.com ${var.label}"]
    }
  }
}

resource "proxmox_virtual_environment_firewall_options" "node" {
  node_name    = "pve1"
  vm_id        = proxmox_virtual_environment_vm.node["cp-1"].vm_id
  enabled      = false
  input_policy = "ACCEPT"
}

resource "proxmox_haresource" "node" {
  for_each    = local.nodes
  resource_id = "vm:${proxmox_virtual_environment_vm.node[each.key].vm_id}"
  state       = "started"
  comment     = "A node"
  max_restart = 2
}

resource "proxmox_harule" "apart" {
  rule      = "apart"
  type      = "resource-affinity"
  affinity  = "negative"
  resources = [for node in proxmox_haresource.node : node.resource_id]
}

resource "talos_machine_secrets" "this" {
  talos_version = local.version
}

data "talos_machine_configuration" "this" {
  for_each           = local.nodes
  cluster_name       = "judged"
  machine_type       = each.value.type
  cluster_endpoint   = "https://${local.control_planes[0]}:6443"
  machine_secrets    = talos_machine_secrets.this.machine_secrets
  talos_version      = local.version
  kubernetes_version = "v1.35.1"
}

resource "talos_machine_configuration_apply" "this" {
  for_each                    = local.nodes
  client_configuration        = talos_machine_secrets.this.client_configuration
  machine_configuration_input = data.talos_machine_configuration.this[each.key].machine_configuration
  node                        = each.value.address
  depends_on                  = [proxmox_virtual_environment_vm.node]
  config_patches = [yamlencode({
    machine = {
      install    = { disk = "/dev/sda", image = data.talos_image_factory_urls.this.urls.installer }
      nodeLabels = { stage = var.label }
    }
  })]
  on_destroy = {
    graceful = false
    reset    = true
    reboot   = true
  }
}

resource "talos_machine_bootstrap" "this" {
  node                 = local.control_planes[0]
  client_configuration = talos_machine_secrets.this.client_configuration
  depends_on           = [talos_machine_configuration_apply.this]
}

resource "talos_cluster_kubeconfig" "this" {
  node                 = local.control_planes[0]
  client_configuration = talos_machine_secrets.this.client_configuration
  depends_on           = [talos_machine_bootstrap.this]
}

data "talos_cluster_health" "this" {
  client_configuration = talos_machine_secrets.this.client_configuration
  endpoints            = local.control_planes
  control_plane_nodes  = local.control_planes
  worker_nodes         = [local.nodes.w-1.address]
  depends_on           = [talos_cluster_kubeconfig.this]
}
