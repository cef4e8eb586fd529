//! Text in Noto Sans, and names in other fonts where a layer has some: cleaned of what the font can't show, shaped, measured,
//! wrapped.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use harfrust::{
    BufferClusterLevel, Direction, Feature, FontRef, ShapeOptions, ShaperData, Tag, UnicodeBuffer,
};
use krilla::surface::Location;
use krilla::text::{Font, GlyphId};

use super::model::DocumentError;

/// How much of a text is read, in characters: more than any place of the page has room for.
const MAX_TEXT_LENGTH: usize = 400;
/// Stands for what the font doesn't have.
const REPLACEMENT: char = '\u{fffd}';
const ELLIPSIS: char = '…';

/// Where a layer puts fonts of more scripts.
const LAYER: &str = "/opt/fonts";

/// The two weights of the font, and what a layer brings.
pub(super) struct Faces {
    pub(super) regular: Face,
    pub(super) bold: Face,
    more: Vec<Face>,
}

/// One weight of the font, read once per process.
pub(super) struct Face {
    pub(super) font: Font,
    source: FontRef<'static>,
    shaping: ShaperData,
}

/// A line of text, ready to be drawn.
pub(super) struct Line {
    pub(super) text: String,
    pub(super) glyphs: Vec<Glyph>,
}

/// A shape of the font and where it goes, in units of the font.
pub(super) struct Glyph {
    id: u32,
    range: Range<usize>,
    advance: i16,
    offset_x: i16,
    offset_y: i16,
    units_per_em: i16,
}

/// Both weights.
pub(super) fn faces() -> Result<&'static Faces, DocumentError> {
    static FACES: LazyLock<Option<Faces>> = LazyLock::new(|| {
        Some(Faces {
            regular: Face::read(notosans::REGULAR_TTF)?,
            bold: Face::read(notosans::BOLD_TTF)?,
            more: of_folder(Path::new(LAYER)),
        })
    });
    FACES.as_ref().ok_or(DocumentError::Font)
}

/// The fonts in a folder, in the order of their names; none where there is no such folder. One that can't be read is left
/// out: an invoice must not wait for it.
fn of_folder(folder: &Path) -> Vec<Face> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = files.map(|file| file.path()).collect();
    paths.sort();
    let read = |path: &PathBuf| {
        // Read once, and used until the process ends.
        let face = std::fs::read(path)
            .ok()
            .and_then(|bytes| Face::read(bytes.leak()));
        if face.is_none() {
            tracing::warn!(path = %path.display(), "a font of the layer can't be read");
        }
        face
    };
    paths.iter().filter_map(read).collect()
}

impl Faces {
    /// The font in which the whole of a name can be written, bold where ours has it; none when no font has all of it.
    pub(super) fn of_name(&self, name: &str) -> Option<&Face> {
        std::iter::once(&self.bold)
            .chain(&self.more)
            .find(|face| face.has(name))
    }
}

impl Face {
    /// Whether the text can be written as it is. What is read from right to left can't: lines are set from the left.
    fn has(&self, text: &str) -> bool {
        let is_set_from_the_right = text.chars().any(is_right_to_left);
        !is_set_from_the_right && !self.clean(text).text.contains(REPLACEMENT)
    }

    fn read(bytes: &'static [u8]) -> Option<Face> {
        let source = FontRef::new(bytes).ok()?;
        Some(Face {
            font: Font::new(bytes.into(), 0)?,
            shaping: ShaperData::new(&source),
            source,
        })
    }

    /// The text in lines of at most `width` at that size (tenths of a point); the last one ends in an ellipsis if
    /// there are more than `most_lines`. An empty text has no lines.
    pub(super) fn wrap(&self, text: &str, size: i16, width: i16, most_lines: usize) -> Vec<Line> {
        let whole = self.clean(text);
        if whole.glyphs.is_empty() || most_lines == 0 {
            return Vec::new();
        }
        if whole.width(size) <= i64::from(width) {
            return vec![whole];
        }
        let mut lines = Vec::new();
        let mut current = String::new();
        for word in whole.text.split_whitespace() {
            let longer = if current.is_empty() {
                word.to_owned()
            } else {
                format!("{current} {word}")
            };
            if self.shape(&longer).width(size) <= i64::from(width) {
                current = longer;
                continue;
            }
            if !current.is_empty() {
                // A reader of the PDF joins the lines again: the space between the words has to be there.
                current.push(' ');
                lines.push(std::mem::take(&mut current));
            }
            let mut rest = word;
            while let Some((head, tail)) = self.break_word(rest, size, width) {
                lines.push(head.to_owned());
                rest = tail;
            }
            current = rest.to_owned();
        }
        if !current.is_empty() {
            lines.push(current);
        }
        if lines.len() > most_lines {
            lines.truncate(most_lines);
            if let Some(last) = lines.last_mut() {
                *last = self.elide(last, size, width);
            }
        }
        lines.iter().map(|line| self.shape(line)).collect()
    }

    /// The text as one line, and the size (tenths of a point) at which it is no wider than `width`: `size` unless it
    /// is too long for it.
    pub(super) fn fit(&self, text: &str, size: i16, width: i16) -> (Line, i16) {
        let line = self.clean(text);
        let needed = line.width(size);
        if needed <= i64::from(width) {
            return (line, size);
        }
        let fitting = i64::from(size) * i64::from(width) / needed;
        (line, i16::try_from(fitting).unwrap_or(size).max(1))
    }

    /// The text in one line, without control characters and what is invisible (which includes what turns the direction
    /// of writing), and with a replacement for what the font doesn't have.
    pub(super) fn clean(&self, text: &str) -> Line {
        let visible = text.chars().filter(|character| !is_invisible(*character));
        let text: String = visible
            .map(|character| if character.is_control() { ' ' } else { character })
            .take(MAX_TEXT_LENGTH)
            .collect();
        let line = self.shape(&text.split_whitespace().collect::<Vec<_>>().join(" "));
        let missing: BTreeSet<usize> = line
            .glyphs
            .iter()
            .filter(|glyph| glyph.id == 0)
            .flat_map(|glyph| glyph.range.clone())
            .collect();
        if missing.is_empty() {
            return line;
        }
        let mut cleaned = String::with_capacity(line.text.len());
        for (position, character) in line.text.char_indices() {
            if !missing.contains(&position) {
                cleaned.push(character);
            } else if !cleaned.ends_with(REPLACEMENT) {
                cleaned.push(REPLACEMENT);
            }
        }
        self.shape(&cleaned)
    }

    /// The part of a word that fits into the width, one letter at least, and the rest; `None` if it all fits.
    fn break_word<'a>(&self, word: &'a str, size: i16, width: i16) -> Option<(&'a str, &'a str)> {
        let line = self.shape(word);
        if line.width(size) <= i64::from(width) {
            return None;
        }
        let first = line.glyphs.first().map_or(0, |glyph| glyph.range.end);
        let end = line.fitting(size, i64::from(width)).max(first);
        word.split_at_checked(end).filter(|(_, rest)| !rest.is_empty())
    }

    /// The beginning of a line, with an ellipsis behind.
    fn elide(&self, line: &str, size: i16, width: i16) -> String {
        let ellipsis = self.shape(&ELLIPSIS.to_string()).width(size);
        let end = self.shape(line).fitting(size, i64::from(width) - ellipsis);
        let kept = line.get(..end).unwrap_or_default().trim_end();
        format!("{kept}{ELLIPSIS}")
    }

    /// Letters to glyphs, from left to right, with kerning and combined accents. Without ligatures: a glyph is a
    /// letter, which is what every reader of the PDF then finds. A letter and an accent that the font has apart are two,
    /// since a reader takes a glyph that stood for both once for both everywhere.
    fn shape(&self, text: &str) -> Line {
        let features = [Feature::new(Tag::new(b"liga"), 0, ..)];
        let shaper = self.shaping.shaper(&self.source).build();
        let mut buffer = UnicodeBuffer::new();
        buffer.set_cluster_level(BufferClusterLevel::MonotoneCharacters);
        buffer.push_str(text);
        buffer.guess_segment_properties();
        buffer.set_direction(Direction::LeftToRight);
        let shaped = shaper.shape(buffer, ShapeOptions::new().features(&features));

        let start = |cluster: u32| usize::try_from(cluster).unwrap_or_default();
        let starts: BTreeSet<usize> = shaped
            .glyph_infos()
            .iter()
            .map(|info| start(info.cluster))
            .collect();
        let units = |value: i32| i16::try_from(value).unwrap_or_default();
        let placed = shaped.glyph_infos().iter().zip(shaped.glyph_positions());
        let glyphs = placed
            .map(|(info, position)| {
                let from = start(info.cluster);
                let to = starts.range(from + 1..).next().copied().unwrap_or(text.len());
                Glyph {
                    id: info.glyph_id,
                    range: from..to,
                    advance: units(position.x_advance),
                    offset_x: units(position.x_offset),
                    offset_y: units(position.y_offset),
                    units_per_em: units(shaper.units_per_em()).max(1),
                }
            })
            .collect();
        Line {
            text: text.to_owned(),
            glyphs,
        }
    }
}

impl Line {
    /// How wide the line is at that size, both in tenths of a point.
    pub(super) fn width(&self, size: i16) -> i64 {
        let Some(first) = self.glyphs.first() else {
            return 0;
        };
        let advance: i64 = self.glyphs.iter().map(|glyph| i64::from(glyph.advance)).sum();
        let units_per_em = i64::from(first.units_per_em);
        (advance * i64::from(size) + units_per_em - 1) / units_per_em
    }

    /// Where the part of the line ends that fits into the width, in bytes.
    fn fitting(&self, size: i16, width: i64) -> usize {
        let mut advance = 0;
        let mut end = 0;
        for glyph in &self.glyphs {
            advance += i64::from(glyph.advance) * i64::from(size);
            if advance > width * i64::from(glyph.units_per_em) {
                return end.min(glyph.range.start);
            }
            end = glyph.range.end;
        }
        end
    }
}

/// Letters of scripts that are written from right to left (Hebrew, Arabic and their neighbours).
fn is_right_to_left(character: char) -> bool {
    matches!(character, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}' | '\u{10800}'..='\u{10fff}')
}

/// Characters that Unicode says aren't to be seen: joiners, variation selectors, marks of direction, tags.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[expect(
    clippy::float_arithmetic,
    reason = "a PDF's coordinates are floats; these are places of letters, no amounts"
)]
impl Glyph {
    fn scaled(&self, units: i16, size: f32) -> f32 {
        f32::from(units) / f32::from(self.units_per_em) * size
    }
}

impl krilla::text::Glyph for Glyph {
    fn glyph_id(&self) -> GlyphId {
        GlyphId::new(self.id)
    }

    fn text_range(&self) -> Range<usize> {
        self.range.clone()
    }

    fn x_advance(&self, size: f32) -> f32 {
        self.scaled(self.advance, size)
    }

    fn x_offset(&self, size: f32) -> f32 {
        self.scaled(self.offset_x, size)
    }

    fn y_offset(&self, size: f32) -> f32 {
        self.scaled(self.offset_y, size)
    }

    fn y_advance(&self, _size: f32) -> f32 {
        0.0
    }

    fn location(&self) -> Option<Location> {
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrapped(text: &str, width: i16, most_lines: usize) -> Vec<String> {
        let lines = faces().unwrap().regular.wrap(text, 90, width, most_lines);
        lines.into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn wraps_at_spaces_and_within_long_words() {
        assert_eq!(wrapped("one two", 1_000, 2), ["one two"]);
        assert_eq!(wrapped(" one\n two ", 250, 2), ["one ", "two"]);
        assert_eq!(wrapped("one two three", 250, 2), ["one ", "two…"]);
        assert_eq!(wrapped("MMMMMM a", 250, 9), ["MMM", "MMM ", "a"]);
        assert_eq!(wrapped("MM", 1, 9), ["M", "M"]);
        assert!(wrapped("", 250, 2).is_empty());
        assert!(wrapped("one", 250, 0).is_empty());
    }

    #[test]
    fn a_letter_keeps_its_accent() {
        let lines = wrapped(&"e\u{301}".repeat(20), 250, 9);
        assert!(
            lines
                .iter()
                .all(|line| line.starts_with('e') && line.ends_with('\u{301}'))
        );
    }

    #[test]
    fn both_weights_have_what_names_are_made_of() {
        let faces = faces().unwrap();
        let letters: String = ('\u{a1}'..='\u{24f}').chain("$€£¥•…–—’“”„×÷−%".chars()).collect();
        let letters = letters.replace('\u{ad}', "");
        for face in [&faces.regular, &faces.bold] {
            for letter in letters.chars() {
                assert_eq!(face.clean(&letter.to_string()).text, letter.to_string());
            }
            assert_ne!(face.clean(&REPLACEMENT.to_string()).glyphs[0].id, 0);
        }
    }

    #[test]
    fn a_name_is_written_in_a_font_that_has_all_of_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("broken.ttf"), b"no font").unwrap();
        std::fs::write(folder.path().join("more.ttf"), notosans::REGULAR_TTF).unwrap();
        let faces = Faces {
            regular: Face::read(notosans::REGULAR_TTF).unwrap(),
            bold: Face::read(notosans::BOLD_TTF).unwrap(),
            more: of_folder(folder.path()),
        };
        assert_eq!(faces.more.len(), 1, "what can't be read is left out");
        assert!(faces.of_name("José Ñandú").is_some());
        assert!(faces.of_name("王小明 Wang").is_none());
        assert!(faces.of_name("שלום").is_none());
        assert!(of_folder(Path::new("/nowhere")).is_empty());
    }

    proptest! {
        #[test]
        fn nothing_is_wider_than_its_space(text: String, width in 200_i16..3_000, most_lines in 1_usize..4) {
            let faces = faces().unwrap();
            for face in [&faces.regular, &faces.bold] {
                let lines = face.wrap(&text, 90, width, most_lines);
                prop_assert!(lines.len() <= most_lines);
                for line in lines {
                    let visible = face.shape(line.text.trim_end());
                    prop_assert!(visible.width(90) <= i64::from(width) + 5, "{:?}", line.text);
                }
                let (line, size) = face.fit(&text, 90, width);
                prop_assert!(size == 1 || line.width(size) <= i64::from(width));
            }
        }

        #[test]
        fn every_letter_of_a_line_has_its_place(text in "\\PC{0,60}") {
            let line = faces().unwrap().regular.clean(&text);
            prop_assert!(line.glyphs.iter().all(|glyph| glyph.id != 0));
            let mut end = 0;
            for glyph in &line.glyphs {
                prop_assert!(glyph.range.start <= end && end <= glyph.range.end);
                end = glyph.range.end;
            }
            prop_assert_eq!(end, line.text.len());
        }
    }
}
