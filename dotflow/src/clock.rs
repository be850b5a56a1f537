//! Times of day, kept within what can be written: clocks may be set to any year.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use uuid::{NoContext, Timestamp, Uuid};

/// The last second of the year 9999, after which RFC 3339 has no years.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// A time as RFC 3339 in UTC, to the microsecond. One before 1970 or after 9999 stands as the
/// first or last time that can be written.
pub(crate) fn utc(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    humantime::format_rfc3339_micros(UNIX_EPOCH + since.min(LAST)).to_string()
}

/// A new id of a run: a UUID of version 7, so ids are unique, and in the order of their times.
pub(crate) fn new_id() -> Arc<str> {
    // uuid asks for a clock that is set. Once it is, it does not go back by half a century.
    static IS_SET: AtomicBool = AtomicBool::new(false);
    let is_set = IS_SET.load(Ordering::Relaxed) || SystemTime::now() >= UNIX_EPOCH;
    let id = if is_set {
        IS_SET.store(true, Ordering::Relaxed);
        Uuid::now_v7()
    } else {
        Uuid::new_v7(Timestamp::from_unix(NoContext, 0, 0))
    };
    // Written in place, which saves a string and the machinery of formatting.
    let mut text = Uuid::encode_buffer();
    Arc::from(&*id.hyphenated().encode_lower(&mut text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_time_can_be_written() {
        assert_eq!(utc(UNIX_EPOCH), "1970-01-01T00:00:00.000000Z");
        let before = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(utc(before), "1970-01-01T00:00:00.000000Z");
        let after = UNIX_EPOCH + Duration::from_secs(u64::from(u32::MAX) * 100);
        assert_eq!(utc(after), "9999-12-31T23:59:59.000000Z");
    }
}
