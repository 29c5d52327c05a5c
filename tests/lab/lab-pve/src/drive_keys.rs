//! The keys of drives: those of every bus, and those of one.

use super::keys::{FILE, FILE_ALIASES};
use super::option_formats;
use super::schema::{INTEGER, Kind, Properties};

const NUMBER: Kind = Kind::Number(None, None);
const SECONDS: Kind = Kind::Integer(Some(1), None);
const WWN: (&str, Kind, bool) = ("wwn", Kind::Pattern(option_formats::wwn), false);
const SSD: (&str, Kind, bool) = ("ssd", Kind::Boolean, false);
const IO_THREAD: (&str, Kind, bool) = ("iothread", Kind::Boolean, false);
const READ_ONLY: (&str, Kind, bool) = ("ro", Kind::Boolean, false);

/// What a drive has on every bus.
const DRIVE: Properties = Properties {
    default: Some("file"),
    keys: &[
        ("file", FILE, true),
        ("import-from", FILE, false),
        ("format", Kind::OneOf(&["raw", "qcow", "qed", "qcow2", "vmdk", "cloop"]), false),
        ("size", Kind::Pattern(option_formats::disk_size), false),
        ("media", Kind::OneOf(&["cdrom", "disk"]), false),
        ("cache", Kind::OneOf(&["none", "writethrough", "writeback", "unsafe", "directsync"]), false),
        ("aio", Kind::OneOf(&["native", "threads", "io_uring"]), false),
        ("discard", Kind::OneOf(&["ignore", "on"]), false),
        ("backup", Kind::Boolean, false),
        ("detect_zeroes", Kind::Boolean, false),
        ("replicate", Kind::Boolean, false),
        ("rerror", Kind::OneOf(&["ignore", "report", "stop"]), false),
        ("werror", Kind::OneOf(&["enospc", "ignore", "report", "stop"]), false),
        ("serial", Kind::Text(Some(60)), false),
        ("shared", Kind::Boolean, false),
        ("snapshot", Kind::Boolean, false),
        ("bps", INTEGER, false),
        ("bps_rd", INTEGER, false),
        ("bps_wr", INTEGER, false),
        ("bps_max_length", SECONDS, false),
        ("bps_rd_max_length", SECONDS, false),
        ("bps_wr_max_length", SECONDS, false),
        ("iops", INTEGER, false),
        ("iops_rd", INTEGER, false),
        ("iops_wr", INTEGER, false),
        ("iops_max", INTEGER, false),
        ("iops_rd_max", INTEGER, false),
        ("iops_wr_max", INTEGER, false),
        ("iops_max_length", SECONDS, false),
        ("iops_rd_max_length", SECONDS, false),
        ("iops_wr_max_length", SECONDS, false),
        ("mbps", NUMBER, false),
        ("mbps_rd", NUMBER, false),
        ("mbps_wr", NUMBER, false),
        ("mbps_max", NUMBER, false),
        ("mbps_rd_max", NUMBER, false),
        ("mbps_wr_max", NUMBER, false),
        ("cyls", INTEGER, false),
        ("heads", INTEGER, false),
        ("secs", INTEGER, false),
        ("trans", Kind::OneOf(&["none", "lba", "auto"]), false),
    ],
    until_8: &["cyls", "heads", "secs", "trans"],
    aliases: &[
        FILE_ALIASES[0],
        ("bps_rd_length", "bps_rd_max_length"),
        ("bps_wr_length", "bps_wr_max_length"),
        ("iops_rd_length", "iops_rd_max_length"),
        ("iops_wr_length", "iops_wr_max_length"),
    ],
    ..Properties::NONE
};

/// `ideN`.
pub(crate) const IDE: Properties = Properties { more: &[("model", Kind::Text(Some(120)), false), SSD, WWN], ..DRIVE };

/// `sataN`.
pub(crate) const SATA: Properties = Properties { more: &[SSD, WWN], ..DRIVE };

/// `scsiN`.
pub(crate) const SCSI: Properties = Properties {
    more: &[
        IO_THREAD,
        ("product", Kind::Pattern(option_formats::product), false),
        ("queues", Kind::Integer(Some(2), None), false),
        READ_ONLY,
        ("scsiblock", Kind::Boolean, false),
        SSD,
        ("vendor", Kind::Pattern(option_formats::vendor), false),
        WWN,
    ],
    ..DRIVE
};

/// `virtioN`.
pub(crate) const VIRTIO: Properties = Properties { more: &[IO_THREAD, READ_ONLY], ..DRIVE };
