//! Numbers, dates and addresses in the form that Java gives them: tools parse these texts.

use std::net::{IpAddr, SocketAddr};

/// `Double.toString`: always with a fraction, with an exponent below a thousandth and from ten million on.
pub(super) fn double(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    if value.is_infinite() {
        return if value > 0.0 { "Infinity".into() } else { "-Infinity".into() };
    }
    let size = value.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{value:?}");
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if digits.contains('.') => format!("{digits}E{exponent}"),
        Some((digits, exponent)) => format!("{digits}.0E{exponent}"),
        None => text,
    }
}

/// A mean with at most four decimals, halves rounded up; 0 without values (`AvgMinMaxCounter.getAvg`).
pub(super) fn mean(sum: i64, count: u64) -> f64 {
    if count == 0 {
        return 0.0;
    }
    let exact = sum as f64 / count as f64;
    // Far more decimals than a double of this size can tell apart: the fifth decides as in exact arithmetic.
    let decimals = format!("{:.40}", exact.abs());
    let (kept, dropped) = decimals.split_at(decimals.len() - 36);
    let kept: f64 = kept.parse().unwrap_or(exact.abs());
    let up = dropped.as_bytes()[0] >= b'5';
    let rounded = if up { format!("{:.4}", kept + 1e-4).parse().unwrap_or(kept) } else { kept };
    rounded.copysign(exact)
}

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `Date.toString` in UTC, of milliseconds since the Unix epoch.
pub(crate) fn date(unix_ms: i64) -> String {
    let seconds = unix_ms.div_euclid(1_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let name = DAYS[days.rem_euclid(7) as usize];
    let month = MONTHS[month as usize - 1];
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{name} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year:04}")
}

/// Year, month and day of a day number: the proleptic Gregorian calendar, in eras of 400 years that begin in March.
pub(crate) fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// `host:port`, as Jackson shows an `InetSocketAddress`.
pub(super) fn host_and_port(address: SocketAddr) -> String {
    socket_address(address).split_off(1)
}

/// `InetSocketAddress.toString` of an address that was never looked up.
pub(super) fn socket_address(address: SocketAddr) -> String {
    let host = crate::auth::ip_identity(address.ip()).id;
    match address.ip().to_canonical() {
        IpAddr::V4(_) => format!("/{host}:{}", address.port()),
        IpAddr::V6(_) => format!("/[{host}]:{}", address.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Asked of Java.
    #[test]
    fn doubles() {
        let rows = [
            (0.0, "0.0"),
            (1.1215, "1.1215"),
            (100.0, "100.0"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.23456789e8, "1.23456789E8"),
            (1e22, "1.0E22"),
            (0.001, "0.001"),
            (0.0009, "9.0E-4"),
            (1e-5, "1.0E-5"),
            (-3.5, "-3.5"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, text) in rows {
            assert_eq!(double(value), text);
        }
    }

    /// Asked of Java, halves and near-halves among them.
    #[test]
    fn means() {
        let rows = [
            (0, 0, "0.0"),
            (1, 20_000, "1.0E-4"),
            (3, 20_000, "1.0E-4"),
            (1, 32, "0.0313"),
            (5, 32, "0.1563"),
            (2, 3, "0.6667"),
            (100_001, 3, "33333.6667"),
            (7, 80_000, "1.0E-4"),
            (63, 9, "7.0"),
            (6, 17, "0.3529"),
        ];
        for (sum, count, text) in rows {
            assert_eq!(double(mean(sum, count)), text, "{sum} / {count}");
        }
    }

    /// Asked of Java.
    #[test]
    fn dates() {
        let rows = [
            (0, "Thu Jan 01 00:00:00 UTC 1970"),
            (1_795_336_775_000, "Sun Nov 22 08:39:35 UTC 2026"),
            (951_782_400_000, "Tue Feb 29 00:00:00 UTC 2000"),
            (-1, "Wed Dec 31 23:59:59 UTC 1969"),
            (4_102_444_799_999, "Thu Dec 31 23:59:59 UTC 2099"),
            (1_709_164_800_000, "Thu Feb 29 00:00:00 UTC 2024"),
        ];
        for (unix_ms, text) in rows {
            assert_eq!(date(unix_ms), text);
        }
    }

    #[test]
    fn addresses() {
        let rows = [
            ("10.0.0.1:2181", "/10.0.0.1:2181"),
            ("[2001:db8::1]:2181", "/[2001:db8:0:0:0:0:0:1]:2181"),
            ("[::ffff:10.0.0.1]:2181", "/10.0.0.1:2181"),
        ];
        for (address, text) in rows {
            assert_eq!(socket_address(address.parse().unwrap()), text);
        }
    }

    proptest! {
        #[test]
        fn any_number_has_a_text(bits: u64, sum: i64, count: u64, unix_ms: i64) {
            double(f64::from_bits(bits));
            double(mean(sum, count));
            date(unix_ms);
        }

        #[test]
        fn a_mean_is_near_the_quotient(sum in 0..1_000_000_000i64, count in 1..1_000_000u64) {
            let exact = sum as f64 / count as f64;
            prop_assert!((mean(sum, count) - exact).abs() <= 0.000_051);
        }
    }
}
