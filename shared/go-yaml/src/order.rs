use std::cmp::Ordering;

/// The order in which go-yaml writes the keys of a map: digits count as numbers, letters come after the rest.
pub fn natural_order(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    match (0..a.len().min(b.len())).find(|&i| a[i] != b[i]) {
        None => a.len().cmp(&b.len()),
        Some(i) => differing(&a, &b, i),
    }
}

/// Orders by the first character that differs.
fn differing(a: &[char], b: &[char], i: usize) -> Ordering {
    let after_digit = i > 0 && a[i - 1].is_numeric();
    match (a[i].is_alphabetic(), b[i].is_alphabetic()) {
        (true, true) => a[i].cmp(&b[i]),
        (true, false) if after_digit => Ordering::Less,
        (true, false) => Ordering::Greater,
        (false, true) if after_digit => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => numbers(a, b, i),
    }
}

fn numbers(a: &[char], b: &[char], i: usize) -> Ordering {
    // A zero inside a longer number must not make "10" and "1" + "0…" look shorter than they are.
    let zero = a[i] == '0' || b[i] == '0';
    let inside = a[..i].iter().rev().take_while(|c| c.is_numeric()).any(|&c| c != '0');
    let start = u64::from(zero && inside);
    let (left, left_end) = run(a, i, start);
    let (right, right_end) = run(b, i, start);
    left.cmp(&right).then(left_end.cmp(&right_end)).then(a[i].cmp(&b[i]))
}

/// The number that begins at `from`, behind the digits of `start`, and where it ends.
fn run(text: &[char], from: usize, start: u64) -> (u64, usize) {
    let digits = text[from..].iter().map_while(|c| c.to_digit(10));
    digits.fold((start, from), |(number, end), digit| {
        (number.saturating_mul(10).saturating_add(u64::from(digit)), end + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(mut keys: Vec<&str>) -> Vec<&str> {
        keys.sort_by(|a, b| natural_order(a, b));
        keys
    }

    #[test]
    fn numbers_in_keys_count_as_numbers() {
        assert_eq!(sorted(vec!["a10", "a2", "a1"]), ["a1", "a2", "a10"]);
    }

    #[test]
    fn signs_come_before_letters_and_capitals_before_small_ones() {
        assert_eq!(
            sorted(vec!["enforce-version", "enforce", "kind", "Kind", "a.b/c", "a/b"]),
            ["Kind", "a.b/c", "a/b", "enforce", "enforce-version", "kind"]
        );
    }
}
