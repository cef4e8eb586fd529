//! Where everything on an invoice goes. All places and sizes are tenths of a point.

use domain::money::Money;
use krilla::tagging::{TableHeaderScope, Tag, TagGroup, TagTree};

use super::format;
use super::model::{Calculation, DocumentStatus, InvoiceDocument};
use super::page::{Align, Canvas, Color, HEIGHT, Space, Style, WIDTH, group, heading};

const INK: Color = Color(0x1c, 0x23, 0x30);
const MUTED: Color = Color(0x5b, 0x64, 0x72);
const ACCENT: Color = Color(0x1f, 0x3f, 0x77);
const RULE: Color = Color(0xd5, 0xda, 0xe1);
const SHADE: Color = Color(0xf2, 0xf4, 0xf7);
const GREEN: Color = Color(0x1b, 0x6e, 0x3c);
const AMBER: Color = Color(0x8a, 0x55, 0x00);
const RED: Color = Color(0xa3, 0x24, 0x24);

const LEFT: i16 = 540;
const RIGHT: i16 = WIDTH - 540;
/// Where the right half of the upper part begins.
const HALF: i16 = 3_260;
/// How far apart the blocks of the page are.
const GAP: i16 = 320;
/// Between the side of a table's cell and its text.
const PADDING: i16 = 70;

const ADDRESS_LINES: usize = 6;
const NAME_LINES: usize = 2;
const DESCRIPTION_LINES: usize = 4;
const NOTE_LINES: usize = 4;

/// Draws the invoice and says what is what on it.
pub(super) fn draw(canvas: &mut Canvas<'_>, document: &InvoiceDocument) -> TagTree {
    let mut tags = TagTree::new();
    let issuer_end = issuer(canvas, &mut tags, document);
    let facts_end = facts(canvas, &mut tags, document);
    let top = issuer_end.max(facts_end) + GAP;
    canvas.rectangle(LEFT, top - GAP / 2, RIGHT - LEFT, 8, RULE);

    let recipient_end = recipient(canvas, &mut tags, document, top + 120);
    let stamp_end = stamp(canvas, &mut tags, document, top + 60);
    let mut table = group(Tag::Table.with_summary(Some("What the invoice is for".to_owned())));
    let table_end = lines(canvas, &mut table, document, recipient_end.max(stamp_end) + GAP);
    tags.push(table);
    let totals_end = totals(canvas, &mut tags, document, table_end + 110);
    if let Some(calculation) = &document.calculation {
        note(canvas, &mut tags, calculation, totals_end + GAP);
    }
    footer(canvas, document);
    tags
}

/// Upper left: who sends the invoice.
fn issuer(canvas: &mut Canvas<'_>, tags: &mut TagTree, document: &InvoiceDocument) -> i16 {
    let (name, small) = (bold(canvas, 150, INK), regular(canvas, 90, MUTED));
    let space = left_half(640);
    let mut paragraph = group(Tag::P);
    let mut next = canvas.paragraph(&mut paragraph, &document.issuer.name, name, space, NAME_LINES);
    let address = document.issuer.address_lines.iter().take(ADDRESS_LINES);
    for line in address.chain([&document.issuer.email]) {
        next = canvas.paragraph(&mut paragraph, line, small, space.at(next), 1);
    }
    tags.push(paragraph);
    next
}

/// Upper right: the word, the number and the dates.
fn facts(canvas: &mut Canvas<'_>, tags: &mut TagTree, document: &InvoiceDocument) -> i16 {
    let title = bold(canvas, 260, ACCENT);
    let space = right_half(700);
    let mut word = heading(1, "Invoice");
    canvas.paragraph(&mut word, "Invoice", title, space, 1);
    tags.push(word);
    let facts = [
        ("Invoice number", document.number.clone()),
        ("Date of issue", format::date(document.issued_on)),
        ("Due date", format::date(document.due_on)),
    ];
    let mut baseline = 960;
    for (label, value) in facts {
        let mut paragraph = group(Tag::P);
        let (muted, ink) = (regular(canvas, 90, MUTED), bold(canvas, 90, INK));
        let (labels, values) = label_and_value(baseline, RIGHT);
        canvas.paragraph(&mut paragraph, label, muted, labels, 1);
        canvas.paragraph(&mut paragraph, &value, ink, values, 1);
        tags.push(paragraph);
        baseline += 160;
    }
    baseline
}

/// Who is to pay.
fn recipient(canvas: &mut Canvas<'_>, tags: &mut TagTree, document: &InvoiceDocument, top: i16) -> i16 {
    let label = bold(canvas, 80, MUTED);
    let (name, email) = (bold(canvas, 110, INK), regular(canvas, 90, MUTED));
    let space = left_half(top);
    let mut title = heading(2, "Bill to");
    canvas.paragraph(&mut title, "Bill to", label, space, 1);
    tags.push(title);
    let mut paragraph = group(Tag::P);
    let recipient = &document.recipient;
    let mut next = top + 160;
    // A name that would be boxes says less than the address alone.
    if let Some(face) = canvas.faces.of_name(&recipient.name) {
        let name = Style { face, ..name };
        next = canvas.paragraph(&mut paragraph, &recipient.name, name, space.at(next), NAME_LINES);
    }
    let next = canvas.paragraph(&mut paragraph, &recipient.email, email, space.at(next), 1);
    tags.push(paragraph);
    next
}

/// Where the invoice stands, in a box with a bar of its colour.
fn stamp(canvas: &mut Canvas<'_>, tags: &mut TagTree, document: &InvoiceDocument, top: i16) -> i16 {
    let (color, words, detail) = match &document.status {
        DocumentStatus::Open => {
            let due = format!("Due on {}", format::date(document.due_on));
            (AMBER, due, "Charged to your active payment method.".to_owned())
        }
        DocumentStatus::Paid { on, payment_method } => {
            let paid = format!("Paid on {}", format::date(*on));
            (GREEN, paid, format!("with {payment_method}"))
        }
        DocumentStatus::Uncollectible => {
            let detail = "Charging has stopped; it is still owed.";
            (RED, "Not paid".to_owned(), detail.to_owned())
        }
        DocumentStatus::Void => (MUTED, "Void".to_owned(), "Nothing is owed.".to_owned()),
    };
    let height = 460;
    canvas.rectangle(HALF, top, RIGHT - HALF, height, SHADE);
    canvas.rectangle(HALF, top, 40, height, color);
    let space = Space {
        left: HALF + 140,
        right: RIGHT - PADDING,
        baseline: top + 205,
        align: Align::Left,
    };
    let mut paragraph = group(Tag::P);
    let (large, small) = (bold(canvas, 130, color), regular(canvas, 90, INK));
    canvas.paragraph(&mut paragraph, &words, large, space, 1);
    canvas.paragraph(&mut paragraph, &detail, small, space.at(top + 365), 1);
    tags.push(paragraph);
    top + height
}

/// A column of the table.
struct Column {
    title: &'static str,
    cell: Cell,
    width: i16,
    align: Align,
}

/// The text of a column.
enum Cell {
    /// Words, which wrap.
    Words(String),
    /// A date each in two lines.
    Period(String, String),
    /// A figure, which doesn't.
    Figure(String),
}

/// The table: one line. The columns of the calculation are there if there is one.
fn columns(document: &InvoiceDocument) -> Vec<Column> {
    let start = format!("{} –", format::short_date(document.period_start));
    let period = Cell::Period(start, format::short_date(document.period_end));
    let words = Cell::Words(document.description.clone());
    let amount = Cell::Figure(format::amount(document.total));
    let column = |title, cell, width, align| Column {
        title,
        cell,
        width,
        align,
    };
    let Some(calculation) = &document.calculation else {
        return vec![
            column("Description", words, 3_040, Align::Left),
            column("Period", period, 1_000, Align::Left),
            column("Amount", amount, 1_000, Align::Right),
        ];
    };
    let average = Cell::Figure(format::amount(calculation.average_equity));
    let rate = Cell::Figure(format::percentage(calculation.yearly_rate));
    let days = Cell::Figure(calculation.billable_days.to_string());
    vec![
        column("Description", words, 1_420, Align::Left),
        column("Period", period, 820, Align::Left),
        column("Average value", average, 960, Align::Right),
        column("Yearly rate", rate, 620, Align::Right),
        column("Days", days, 360, Align::Right),
        column("Amount", amount, 860, Align::Right),
    ]
}

fn lines(canvas: &mut Canvas<'_>, table: &mut TagGroup, document: &InvoiceDocument, top: i16) -> i16 {
    let (title, text) = (bold(canvas, 80, MUTED), regular(canvas, 90, INK));
    let columns = columns(document);
    let header_height = 240;
    canvas.rectangle(LEFT, top, RIGHT - LEFT, header_height, SHADE);
    let mut titles = group(Tag::TR);
    let mut left = LEFT;
    for column in &columns {
        let mut cell = group(Tag::TH(TableHeaderScope::Column));
        let space = cell_space(left, column, top + 152);
        canvas.paragraph(&mut cell, column.title, title, space, 1);
        titles.push(cell);
        left += column.width;
    }
    let mut head = group(Tag::THead);
    head.push(titles);
    table.push(head);

    let mut row = group(Tag::TR);
    let baseline = top + header_height + 180;
    let mut next = baseline;
    left = LEFT;
    for column in &columns {
        let mut cell = group(Tag::TD);
        let space = cell_space(left, column, baseline);
        let end = match &column.cell {
            Cell::Words(words) => canvas.paragraph(&mut cell, words, text, space, DESCRIPTION_LINES),
            Cell::Period(start, end) => {
                let second = canvas.paragraph(&mut cell, start, text, space, 1);
                canvas.paragraph(&mut cell, end, text, space.at(second), 1)
            }
            Cell::Figure(figure) => {
                canvas.figure(&mut cell, figure, text, space);
                baseline
            }
        };
        row.push(cell);
        next = next.max(end);
        left += column.width;
    }
    let mut body = group(Tag::TBody);
    body.push(row);
    table.push(body);
    canvas.rectangle(LEFT, next, RIGHT - LEFT, 8, RULE);
    next
}

/// The invoice's amount, how much of it is paid and how much is due.
fn totals(canvas: &mut Canvas<'_>, tags: &mut TagTree, document: &InvoiceDocument, top: i16) -> i16 {
    let nothing = Money::zero(document.total.currency());
    let (paid, due) = match &document.status {
        DocumentStatus::Open | DocumentStatus::Uncollectible => (None, document.total),
        DocumentStatus::Paid { .. } => (Some(document.total), nothing),
        DocumentStatus::Void => (None, nothing),
    };
    let (plain, strong) = (regular(canvas, 90, INK), bold(canvas, 120, INK));
    let mut rows = vec![("Total", document.total, plain)];
    rows.extend(paid.map(|paid| ("Amount paid", paid, plain)));
    rows.push(("Amount due", due, strong));
    let mut baseline = top;
    for (label, amount, style) in rows {
        let mut paragraph = group(Tag::P);
        let (labels, amounts) = label_and_value(baseline + style.size, RIGHT - PADDING);
        canvas.paragraph(&mut paragraph, label, style, labels, 1);
        canvas.figure(&mut paragraph, &format::amount(amount), style, amounts);
        tags.push(paragraph);
        baseline += 100 + style.size;
    }
    baseline
}

/// How the amount comes about.
fn note(canvas: &mut Canvas<'_>, tags: &mut TagTree, calculation: &Calculation, top: i16) {
    let (title, text) = (bold(canvas, 90, INK), regular(canvas, 85, MUTED));
    let space = Space {
        left: LEFT,
        right: RIGHT,
        baseline: top,
        align: Align::Left,
    };
    let words = "How the commission is calculated";
    let mut heading = heading(2, words);
    let next = canvas.paragraph(&mut heading, words, title, space, 1);
    tags.push(heading);
    let rule = "Commission for the period = average daily equity × yearly rate × days ÷ 365, rounded to the cent. \
                Average daily equity is the mean of the account’s value on every day of the period, New York time; \
                the days are those on which the account was open. Where a yearly minimum applies, the commission \
                of a whole year is at least that minimum.";
    let figures = format!(
        "On this invoice: average daily equity {}, yearly rate {}, commission of a whole year {}, {} days of 365.",
        format::amount(calculation.average_equity),
        format::percentage(calculation.yearly_rate),
        format::amount(calculation.yearly_commission),
        calculation.billable_days,
    );
    let mut paragraph = group(Tag::P);
    let next = canvas.paragraph(&mut paragraph, rule, text, space.at(next + 20), NOTE_LINES);
    tags.push(paragraph);
    let mut paragraph = group(Tag::P);
    canvas.paragraph(&mut paragraph, &figures, text, space.at(next + 40), NOTE_LINES);
    tags.push(paragraph);
}

/// At the bottom of the page: which invoice, and whom to ask.
fn footer(canvas: &mut Canvas<'_>, document: &InvoiceDocument) {
    let style = regular(canvas, 80, MUTED);
    let top = HEIGHT - 620;
    canvas.rectangle(LEFT, top, RIGHT - LEFT, 8, RULE);
    let questions = format!("Questions about this invoice? Write to {}", document.issuer.email);
    canvas.footer(
        &questions,
        style,
        Space {
            right: HALF + 900,
            ..left_half(top + 170)
        },
    );
    canvas.footer(
        &document.number,
        style,
        Space {
            left: HALF + 940,
            ..right_half(top + 170)
        },
    );
}

fn left_half(baseline: i16) -> Space {
    Space {
        left: LEFT,
        right: HALF - 200,
        baseline,
        align: Align::Left,
    }
}

fn right_half(baseline: i16) -> Space {
    Space {
        left: HALF,
        right: RIGHT,
        baseline,
        align: Align::Right,
    }
}

/// The right half in two: a label at its left side, a value at its right side.
fn label_and_value(baseline: i16, right: i16) -> (Space, Space) {
    let label = Space {
        left: HALF,
        right: HALF + 900,
        baseline,
        align: Align::Left,
    };
    let value = Space {
        left: HALF + 940,
        right,
        baseline,
        align: Align::Right,
    };
    (label, value)
}

fn cell_space(left: i16, column: &Column, baseline: i16) -> Space {
    Space {
        left: left + PADDING,
        right: left + column.width - PADDING,
        baseline,
        align: column.align,
    }
}

fn regular(canvas: &Canvas<'_>, size: i16, color: Color) -> Style {
    let face = &canvas.faces.regular;
    Style { face, size, color }
}

fn bold(canvas: &Canvas<'_>, size: i16, color: Color) -> Style {
    let face = &canvas.faces.bold;
    Style { face, size, color }
}
