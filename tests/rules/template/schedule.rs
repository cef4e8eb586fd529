//! EventBridge Scheduler's `rate(…)` and `cron(…)`, checked as AWS documents them; `sam validate` takes any text.

const FIELDS: [(&str, u32, u32); 6] = [
    ("minutes", 0, 59),
    ("hours", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 1, 7),
    ("year", 1970, 2199),
];
const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Why the expression is not one.
pub(crate) fn check(expression: &str) -> Result<(), String> {
    let body = |kind: &str| {
        expression
            .strip_prefix(kind)?
            .strip_prefix('(')?
            .strip_suffix(')')
    };
    match (body("rate"), body("cron")) {
        (Some(rate), _) => check_rate(rate),
        (_, Some(cron)) => check_cron(cron),
        _ => Err("write rate(…) or cron(…)".to_owned()),
    }
}

fn check_rate(rate: &str) -> Result<(), String> {
    let (count, unit) = rate.split_once(' ').ok_or("write rate(5 minutes)")?;
    let count: u32 = count.parse().map_err(|_| "the count must be a whole number")?;
    let units = if count == 1 {
        ["minute", "hour", "day"]
    } else {
        ["minutes", "hours", "days"]
    };
    if count == 0 || !units.contains(&unit) {
        return Err(format!("with {count} the unit is one of {}", units.join(", ")));
    }
    Ok(())
}

fn check_cron(cron: &str) -> Result<(), String> {
    let fields: Vec<&str> = cron.split(' ').collect();
    if fields.len() != FIELDS.len() {
        return Err("cron has six fields: minutes hours day-of-month month day-of-week year".to_owned());
    }
    for (field, (name, least, most)) in fields.iter().zip(FIELDS) {
        if !field.split(',').all(|part| is_part(part, name, least, most)) {
            return Err(format!("{field:?} is no {name}"));
        }
    }
    let open = fields.iter().filter(|field| **field == "?").count();
    if open != 1 {
        return Err("exactly one of day of month and day of week is ?".to_owned());
    }
    Ok(())
}

fn is_part(part: &str, name: &str, least: u32, most: u32) -> bool {
    let is_day = name.starts_with("day");
    if part == "*" || (part == "?" && is_day) || (part == "L" && is_day) {
        return true;
    }
    let (range, step) = part
        .split_once('/')
        .map_or((part, None), |(range, step)| (range, Some(step)));
    let (first, last) = range.split_once('-').map_or((range, range), |ends| ends);
    let number = |text: &str| number(text, name).filter(|number| (least..=most).contains(number));
    let step_fits = step.is_none_or(|step| step.parse::<u32>().is_ok_and(|step| (1..=most).contains(&step)));
    let range_fits = range == "*"
        || number(first)
            .zip(number(last))
            .is_some_and(|(first, last)| first <= last);
    step_fits && range_fits
}

fn number(text: &str, name: &str) -> Option<u32> {
    let named = |names: &[&str]| {
        names
            .iter()
            .position(|known| *known == text)
            .and_then(|at| u32::try_from(at + 1).ok())
    };
    text.parse().ok().or_else(|| match name {
        "month" => named(&MONTHS),
        "day of week" => named(&DAYS),
        _ => None,
    })
}

#[test]
fn valid_schedules_pass() {
    for valid in [
        "rate(1 minute)",
        "rate(5 minutes)",
        "cron(0 18 * * ? *)",
        "cron(*/5 9-16 ? * MON-FRI *)",
        "cron(0 0 L JAN,JUL ? 2027)",
    ] {
        assert_eq!(check(valid), Ok(()), "{valid}");
    }
}

#[test]
fn invalid_schedules_do_not() {
    let invalid = [
        "rate(1 minutes)",
        "rate(5 minute)",
        "rate(0 days)",
        "cron(0 18 * * *)",
        "cron(0 25 * * ? *)",
        "cron(0 18 * * * *)",
        "cron(0 18 ? * ? *)",
        "every day",
    ];
    for invalid in invalid {
        assert!(check(invalid).is_err(), "{invalid}");
    }
}
