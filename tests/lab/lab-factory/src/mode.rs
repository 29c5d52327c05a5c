//! How a factory is set up: the edition, how old it is, and where its images lie.

/// How the factory is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mode {
    /// Whether it is the Enterprise edition, which has checksums and signatures beside each image.
    pub enterprise: bool,
    /// Whether it is as old as 0.8, which writes some words of a schematic differently and so gives other IDs.
    pub old: bool,
    /// Whether images lie in an object store, to which a GET is redirected.
    pub redirects: bool,
}

impl Mode {
    /// The `Server` header.
    pub(crate) fn server(self) -> &'static str {
        match (self.enterprise, self.old) {
            (true, _) => "Image Factory Enterprise v1.5.0",
            (false, true) => "Image Factory v0.8.4",
            (false, false) => "Image Factory v1.5.0",
        }
    }

    /// The canonical text of a schematic, from that of a new factory.
    ///
    /// go-yaml v3 puts the booleans and numbers to the base 60 of YAML 1.1 into double quotes, where v4 puts them into
    /// single ones, and leaves `<<` bare.
    pub(crate) fn written(self, canonical: &str) -> String {
        match self.old {
            true => canonical.lines().map(|line| old_line(line) + "\n").collect(),
            false => canonical.to_owned(),
        }
    }
}

fn old_line(line: &str) -> String {
    let Some((start, word)) = line.strip_suffix('\'').and_then(|line| line.rsplit_once('\'')) else {
        return line.to_owned();
    };
    let bool_of_1_1 = ["y", "n", "yes", "no", "on", "off"].contains(&word.to_lowercase().as_str());
    let base_60 = word.contains(':') && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    match word {
        "<<" => format!("{start}<<"),
        word if bool_of_1_1 || base_60 => format!("{start}\"{word}\""),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_factory_quotes_the_booleans_of_yaml_1_1_doubly() {
        let old = Mode { old: true, ..Mode::default() };
        let text = "customization:\n    meta:\n        - key: 10\n          value: 'yes'\n        - value: 'a: b'\n";
        let wanted =
            "customization:\n    meta:\n        - key: 10\n          value: \"yes\"\n        - value: 'a: b'\n";
        assert_eq!(old.written(text), wanted);
        assert_eq!(old.written("    - '12:30'\n    - '<<'\n"), "    - \"12:30\"\n    - <<\n");
        assert_eq!(Mode::default().written(text), text);
    }
}
