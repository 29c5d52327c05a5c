//! Property strings: `virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=5`.

use std::fmt;

/// A property string: pairs in the order in which they were written, the first perhaps without a key.
///
/// Proxmox VE sorts the pairs and adds some when it stores them, so compare by key, never as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Property {
    pairs: Vec<(Option<String>, String)>,
}

impl Property {
    /// Splits a property string. Any text is one; values keep their case.
    pub fn parse(text: &str) -> Self {
        let pair = |part: &str| match part.split_once('=') {
            Some((key, value)) => (Some(key.trim().to_owned()), value.trim().to_owned()),
            None => (None, part.trim().to_owned()),
        };
        Self { pairs: text.split(',').filter(|part| !part.trim().is_empty()).map(pair).collect() }
    }

    /// The value without a key: the volume of a disk, the type of a machine.
    pub fn bare(&self) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key.is_none()).map(|(_, value)| value.as_str())
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known.as_deref() == Some(key)).map(|(_, value)| value.as_str())
    }

    /// Sets the value of `key`, at its place or at the end.
    pub fn set(&mut self, key: &str, value: &str) {
        match self.pairs.iter_mut().find(|(known, _)| known.as_deref() == Some(key)) {
            Some((_, old)) => *old = value.into(),
            None => self.pairs.push((Some(key.into()), value.into())),
        }
    }

    /// The pairs, in order.
    pub fn pairs(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        self.pairs.iter().map(|(key, value)| (key.as_deref(), value.as_str()))
    }
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (key, value)) in self.pairs.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match key {
                Some(key) => write!(f, "{comma}{key}={value}")?,
                None => write!(f, "{comma}{value}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_property_string_is_taken_apart_and_put_together() {
        let mut disk = Property::parse("local:100/vm-100-disk-1.raw,discard=on,size=4G");
        assert_eq!((disk.bare(), disk.get("size")), (Some("local:100/vm-100-disk-1.raw"), Some("4G")));

        disk.set("size", "20G");
        disk.set("ssd", "1");
        assert_eq!(disk.to_string(), "local:100/vm-100-disk-1.raw,discard=on,size=20G,ssd=1");
        assert_eq!(Property::parse(""), Property::default());
    }
}
