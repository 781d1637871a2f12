//! Dates in the format of HTTP.

use super::text::Text;
use std::mem::MaybeUninit;

const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// Now, as calendar fields in UTC.
pub fn now() -> libc::tm {
    let mut fields = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: `time` takes a null pointer; gmtime_r fills the structure, which zeroes suit, too.
    unsafe {
        let seconds = libc::time(std::ptr::null_mut());
        libc::gmtime_r(&seconds, fields.as_mut_ptr());
        fields.assume_init()
    }
}

/// `Thu, 01 Jan 1970 00:00:00 GMT`, with the fields as they are; `None` when there is no such
/// month or day of the week.
pub fn rfc1123(date: &libc::tm) -> Option<Text<96>> {
    let day = DAYS.get(usize::try_from(date.tm_wday).ok()?)?;
    let month = MONTHS.get(usize::try_from(date.tm_mon).ok()?)?;
    Some(Text::of(format_args!(
        "{day}, {:02} {month} {:4} {:02}:{:02}:{:02} GMT",
        date.tm_mday,
        i64::from(date.tm_year) + 1900,
        date.tm_hour,
        date.tm_min,
        date.tm_sec
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_up_only_where_they_exist() {
        let mut date = now();
        (date.tm_wday, date.tm_mday, date.tm_mon, date.tm_year) = (4, 1, 0, 70);
        (date.tm_hour, date.tm_min, date.tm_sec) = (0, 0, 0);
        assert_eq!(
            rfc1123(&date).unwrap().as_bytes(),
            b"Thu, 01 Jan 1970 00:00:00 GMT"
        );
        for (day, month) in [(7, 0), (-1, 0), (0, 12), (0, -1), (i32::MIN, i32::MAX)] {
            (date.tm_wday, date.tm_mon) = (day, month);
            assert!(rfc1123(&date).is_none());
        }
    }
}
