//! One page of a tagged PDF: places in tenths of a point from the upper left corner, and what every text on it is.

use std::num::NonZeroU16;

use chrono::Datelike;
use krilla::color::rgb;
use krilla::configure::{Accessibility, ConfigurationBuilder};
use krilla::destination::XyzDestination;
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::{DateTime, Metadata};
use krilla::outline::{Outline, OutlineNode};
use krilla::page::PageSettings;
use krilla::paint::Fill;
use krilla::surface::Surface;
use krilla::tagging::{Artifact, ArtifactType, ContentTag, SpanTag, Tag, TagGroup, TagKind, TagTree};
use krilla::{Document, SerializeSettings};

use super::model::{DocumentError, InvoiceDocument};
use super::text::{self, Face, Faces, Line};

/// US Letter, in tenths of a point: 8.5 inches.
pub(super) const WIDTH: i16 = 6_120;
/// US Letter, in tenths of a point: 11 inches.
pub(super) const HEIGHT: i16 = 7_920;

/// A colour: red, green, blue.
#[derive(Clone, Copy)]
pub(super) struct Color(pub(super) u8, pub(super) u8, pub(super) u8);

/// How a text looks.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) face: &'static Face,
    /// Tenths of a point.
    pub(super) size: i16,
    pub(super) color: Color,
}

impl Style {
    /// From one baseline to the next, in tenths of a point.
    pub(super) fn line_height(&self) -> i16 {
        self.size + self.size * 2 / 5
    }
}

/// Where a text goes in its space.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// A space for text: its left side, its right side and the first baseline.
#[derive(Clone, Copy)]
pub(super) struct Space {
    pub(super) left: i16,
    pub(super) right: i16,
    pub(super) baseline: i16,
    pub(super) align: Align,
}

impl Space {
    pub(super) fn at(self, baseline: i16) -> Space {
        Space { baseline, ..self }
    }

    pub(super) fn width(&self) -> i16 {
        self.right - self.left
    }
}

/// The surface that a page is drawn on.
pub(super) struct Canvas<'a> {
    pub(super) faces: &'static Faces,
    surface: Surface<'a>,
}

impl Canvas<'_> {
    /// Draws a text that wraps, in at most so many lines, as a part of `group`; gives the next baseline.
    pub(super) fn paragraph(
        &mut self,
        group: &mut TagGroup,
        text: &str,
        style: Style,
        space: Space,
        most_lines: usize,
    ) -> i16 {
        let mut baseline = space.baseline;
        for line in style.face.wrap(text, style.size, space.width(), most_lines) {
            self.line(group, &line, style, space.at(baseline));
            baseline += style.line_height();
        }
        baseline
    }

    /// Draws a figure: one line, whole at any length, smaller if it has to be.
    pub(super) fn figure(&mut self, group: &mut TagGroup, text: &str, style: Style, space: Space) {
        let (line, size) = style.face.fit(text, style.size, space.width());
        self.line(group, &line, Style { size, ..style }, space);
    }

    /// Draws a text that belongs to the page rather than to the invoice.
    pub(super) fn footer(&mut self, text: &str, style: Style, space: Space) {
        for line in style.face.wrap(text, style.size, space.width(), 1) {
            let artifact = Artifact::with_kind(ArtifactType::Footer);
            self.surface.start_tagged(ContentTag::Artifact(artifact));
            self.glyphs(&line, style, space);
            self.surface.end_tagged();
        }
    }

    /// Fills a rectangle, which says nothing.
    pub(super) fn rectangle(&mut self, left: i16, top: i16, width: i16, height: i16, color: Color) {
        let Some(area) = Rect::from_xywh(points(left), points(top), points(width), points(height)) else {
            return;
        };
        let mut path = PathBuilder::new();
        path.push_rect(area);
        let Some(path) = path.finish() else {
            return;
        };
        let artifact = Artifact::with_kind(ArtifactType::Layout);
        self.surface.start_tagged(ContentTag::Artifact(artifact));
        self.surface.set_fill(Some(fill(color)));
        self.surface.draw_path(&path);
        self.surface.end_tagged();
    }

    /// Every line goes into a group: one that no group knows would be invisible to a screen reader.
    fn line(&mut self, group: &mut TagGroup, line: &Line, style: Style, space: Space) {
        let content = self.surface.start_tagged(ContentTag::Span(SpanTag::empty()));
        self.glyphs(line, style, space);
        self.surface.end_tagged();
        group.push(content);
    }

    fn glyphs(&mut self, line: &Line, style: Style, space: Space) {
        let free = i64::from(space.width()) - line.width(style.size);
        let indent = match space.align {
            Align::Left => 0,
            Align::Right => i16::try_from(free).unwrap_or_default(),
        };
        self.surface.set_fill(Some(fill(style.color)));
        self.surface.draw_glyphs(
            Point::from_xy(points(space.left + indent), points(space.baseline)),
            &line.glyphs,
            style.face.font.clone(),
            &line.text,
            points(style.size),
            false,
        );
    }
}

/// A group of one kind, to be filled.
pub(super) fn group(kind: impl Into<TagKind>) -> TagGroup {
    TagGroup::new(kind)
}

/// The heading of a level, 1 the highest.
pub(super) fn heading(level: u16, title: &str) -> TagGroup {
    let level = NonZeroU16::new(level).unwrap_or(NonZeroU16::MIN);
    group(Tag::Hn(level, Some(title.to_owned())))
}

/// Writes the document, one page that `draw` fills, in the order in which it is read.
pub(super) fn write(
    document: &InvoiceDocument,
    draw: impl FnOnce(&mut Canvas<'_>, &InvoiceDocument) -> TagTree,
) -> Result<Vec<u8>, DocumentError> {
    let faces = text::faces()?;
    let configuration = ConfigurationBuilder::new()
        .with_accessibility_validator(Accessibility::UA1)
        .finish()
        .map_err(|error| DocumentError::Write(format!("{error:?}")))?;
    let mut pdf = Document::new_with(SerializeSettings {
        configuration,
        ..SerializeSettings::default()
    });
    let settings = PageSettings::from_wh(points(WIDTH), points(HEIGHT))
        .ok_or_else(|| DocumentError::Write("the page has no size".to_owned()))?;
    let mut page = pdf.start_page_with(settings);
    // Surface and page are written when they are dropped.
    let surface = page.surface();
    let tags = draw(&mut Canvas { faces, surface }, document);
    page.finish();

    let title = format!("Invoice {}", faces.regular.clean(&document.number).text);
    let mut outline = Outline::new();
    let top = XyzDestination::new(0, Point::from_xy(0.0, 0.0));
    outline.push_child(OutlineNode::new(title.clone(), top));
    pdf.set_outline(outline);
    let author = faces.regular.clean(&document.issuer.name).text;
    pdf.set_metadata(metadata(document, title, author));
    pdf.set_tag_tree(tags.with_lang(Some("en".to_owned())));
    pdf.finish()
        .map_err(|error| DocumentError::Write(error.to_string()))
}

/// The date in it is the invoice's: the time of writing would make every copy another document.
fn metadata(document: &InvoiceDocument, title: String, author: String) -> Metadata {
    let day = document.issued_on;
    let created = DateTime::new(u16::try_from(day.year()).unwrap_or_default())
        .month(u8::try_from(day.month()).unwrap_or_default())
        .day(u8::try_from(day.day()).unwrap_or_default());
    Metadata::new()
        .title(title)
        .authors(vec![author])
        .language("en".to_owned())
        .creation_date(created)
}

fn fill(Color(red, green, blue): Color) -> Fill {
    Fill {
        paint: rgb::Color::new(red, green, blue).into(),
        ..Fill::default()
    }
}

#[expect(
    clippy::float_arithmetic,
    reason = "a PDF's coordinates are floats; these are places on a page, no amounts"
)]
fn points(tenths: i16) -> f32 {
    f32::from(tenths) / 10.0
}
