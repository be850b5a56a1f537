//! Durations as they are written in an attribute: `30`, `0.5`, `"500ms"`, `"1h30m"`.

use std::time::Duration;

/// The longest duration that is taken. Timers are exact up to about two years; a value beyond one
/// year is a mistake in the unit.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

const FORMS: &str = "write seconds (`30`, `0.5`) or a string with units (`\"500ms\"`, `\"30s\"`, \
                     `\"2m\"`, `\"1h30m\"`, `\"1d\"`)";

/// A number of seconds, in its decimal digits.
pub(crate) fn from_seconds(digits: &str) -> Result<Duration, String> {
    let seconds: f64 = digits
        .parse()
        .map_err(|_| format!("`{digits}` is not a duration: {FORMS}"))?;
    in_range(seconds)
}

/// A sum of numbers with units, as `1h30m`.
pub(crate) fn from_text(text: &str) -> Result<Duration, String> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(format!("this duration is empty: {FORMS}"));
    }
    if rest.starts_with('-') {
        return Err("a duration can't be negative".into());
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let (number, after) = split(rest, |character| {
            character.is_ascii_digit() || character == '.'
        });
        let (unit, after) = split(after.trim_start(), |character| {
            !character.is_ascii_digit() && !character.is_whitespace()
        });
        let Ok(number) = number.parse::<f64>() else {
            return Err(format!("`{text}` is not a duration: {FORMS}"));
        };
        let factor = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            "" => {
                return Err(format!(
                    "`{text}` has a number without a unit: write `\"{number}s\"` for seconds; \
                     the units are `ms`, `s`, `m`, `h` and `d`"
                ));
            }
            unit => {
                return Err(format!(
                    "`{unit}` is not a unit of time: the units are `ms`, `s`, `m`, `h` and `d`, \
                     as in `\"500ms\"` or `\"1h30m\"`"
                ));
            }
        };
        seconds += number * factor;
        rest = after.trim_start();
    }
    in_range(seconds)
}

/// Splits the text after its longest prefix of such characters.
fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(
        text.find(|character| !belongs(character))
            .unwrap_or(text.len()),
    )
}

fn in_range(seconds: f64) -> Result<Duration, String> {
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        _ if seconds < 0.0 => Err("a duration can't be negative".into()),
        _ => Err("this duration is too long: the longest is one year (`\"365d\"`)".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_sums_of_numbers_with_units() {
        for (text, milliseconds) in [
            ("500ms", 500),
            ("30s", 30_000),
            ("2m", 120_000),
            ("1h", 3_600_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("1.5 s", 1500),
            ("1d", 86_400_000),
            ("0s", 0),
            (" 1s500ms ", 1500),
        ] {
            let duration = from_text(text).unwrap_or_else(|message| panic!("{text}: {message}"));
            assert_eq!(duration, Duration::from_millis(milliseconds), "{text}");
        }
    }

    #[test]
    fn mistakes_name_the_fix() {
        for (text, part) in [
            ("", "empty"),
            ("   ", "empty"),
            ("-5s", "negative"),
            ("30", "write `\"30s\"`"),
            ("1h30", "write `\"30s\"`"),
            ("5 minutes", "`minutes` is not a unit"),
            ("soon", "`soon` is not a duration"),
            ("1.2.3s", "is not a duration"),
            ("366d", "one year"),
            ("99999999999999999999999h", "one year"),
        ] {
            let message = from_text(text).expect_err(text);
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn seconds_keep_their_fractions() {
        assert_eq!(from_seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(from_seconds("30"), Ok(Duration::from_secs(30)));
        assert!(from_seconds("1e300").is_err());
        assert!(from_seconds("-1").is_err());
    }
}
