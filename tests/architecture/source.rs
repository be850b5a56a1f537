//! The files of a crate, the modules that they declare, and what they import from each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// The path of a module from the root of its crate, or of something in it.
pub(crate) type Names = Vec<String>;

/// One file of a crate, which is one module and those that are written out in it.
#[derive(Default)]
pub(crate) struct File {
    /// The file, from the `src` of its crate.
    pub(crate) path: String,
    /// Without the documentation of items, which may have an example for every method.
    pub(crate) lines: usize,
    pub(crate) tokens: Vec<String>,
    /// The modules that it declares as files, in their order.
    pub(crate) children: Vec<String>,
    /// What it exports from elsewhere: the module within the file, the name, and where it is from.
    pub(crate) exports: Vec<(Names, String, Names)>,
    /// What it names otherwise by a path within the crate.
    imports: BTreeSet<Names>,
}

/// All files of a crate, by the path of their module. That of `lib.rs` is empty.
pub(crate) struct Source(pub(crate) BTreeMap<Names, File>);

impl Source {
    pub(crate) fn of(folder: &Path) -> Self {
        Self::read(|path| std::fs::read_to_string(folder.join(path)).ok())
    }

    /// Reads a crate from its root on, as the compiler does.
    pub(crate) fn read(text: impl Fn(&str) -> Option<String>) -> Self {
        let mut files = BTreeMap::new();
        let mut open = vec![(Names::new(), "lib.rs".to_owned())];
        while let Some((module, path)) = open.pop() {
            let text = text(&path).unwrap_or_else(|| panic!("there is no {path}"));
            let stream: TokenStream = text.parse().unwrap();
            let mut tokens = Vec::new();
            flatten(stream, &mut tokens);
            let mut reader = Reader::new(module.clone(), &tokens);
            reader.declarations();
            let folder = if module.is_empty() {
                String::new()
            } else {
                format!("{}/", path.trim_end_matches(".rs"))
            };
            for (child, file) in &reader.declared {
                let path = match file {
                    Some(file) => file.clone(),
                    None => format!("{folder}{child}.rs"),
                };
                open.push((below(&module, child), path));
            }
            reader.paths();
            let mut file = reader.file;
            file.children = reader.declared.into_iter().map(|(name, _)| name).collect();
            let is_code = |line: &&str| !line.trim_start().starts_with("///");
            file.lines = text.lines().filter(is_code).count();
            file.path = path;
            file.tokens = tokens;
            files.insert(module, file);
        }
        Self(files)
    }

    /// Which file imports from which other one, by their modules. What a parent exports of its own
    /// children is its face, and no import; an import by way of that face is one from the child.
    pub(crate) fn arrows(&self) -> BTreeSet<(&Names, &Names)> {
        let mut arrows = BTreeSet::new();
        for (from, file) in &self.0 {
            for names in &file.imports {
                arrows.insert((from, self.origin(names)));
            }
            for (_, _, names) in &file.exports {
                let to = self.origin(names);
                if !to.starts_with(from) {
                    arrows.insert((from, to));
                }
            }
        }
        arrows.retain(|(from, to)| from != to);
        arrows
    }

    /// The module whose file declares what a path names.
    pub(crate) fn origin(&self, names: &[String]) -> &Names {
        let mut names = names.to_vec();
        // Exports of exports may not go on for ever.
        for _ in 0..10 {
            let known = (0..=names.len()).rev();
            let known = known.map(|end| &names[..end]);
            let mut known = known.filter_map(|module| self.0.get_key_value(module));
            let (module, file) = known.next().expect("the root is known");
            let exported = file.exports.iter().find_map(|(within, name, origin)| {
                let exported = [&**module, &**within, std::slice::from_ref(name)].concat();
                let rest = names.strip_prefix(&*exported)?;
                Some([&**origin, rest].concat())
            });
            match exported {
                Some(origin) if self.0.contains_key(&names) => drop(origin),
                Some(origin) => {
                    names = origin;
                    continue;
                }
                None => {}
            }
            return module;
        }
        panic!("{names:?} is exported in a circle")
    }

    pub(crate) fn file(&self, module: &[String]) -> &File {
        &self.0[module]
    }
}

/// The tokens of a file in one list. Comments are gone by then, strings stay in their quotes.
fn flatten(stream: TokenStream, tokens: &mut Vec<String>) {
    for tree in stream {
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::None => ("", ""),
                };
                tokens.push(open.to_owned());
                flatten(group.stream(), tokens);
                tokens.push(close.to_owned());
            }
            other => tokens.push(other.to_string()),
        }
    }
}

fn below(module: &[String], child: &str) -> Names {
    [module, &[child.to_owned()]].concat()
}

struct Reader<'text> {
    module: Names,
    tokens: &'text [String],
    /// The modules that are files, and their files where these are named.
    declared: Vec<(String, Option<String>)>,
    file: File,
}

impl<'text> Reader<'text> {
    fn new(module: Names, tokens: &'text [String]) -> Self {
        Self {
            module,
            tokens,
            declared: Vec::new(),
            file: File::default(),
        }
    }

    fn token(&self, place: usize) -> &'text str {
        self.tokens.get(place).map_or("", String::as_str)
    }

    fn is_separator(&self, place: usize) -> bool {
        self.token(place) == ":" && self.token(place + 1) == ":"
    }

    /// Finds the modules that are files of their own.
    fn declarations(&mut self) {
        let mut file = None;
        for place in 0..self.tokens.len() {
            match self.token(place) {
                "path" if self.token(place + 1) == "=" => {
                    file = Some(self.token(place + 2).trim_matches('"').to_owned());
                }
                "mod" if self.token(place + 2) == ";" => {
                    let name = self.token(place + 1).to_owned();
                    self.declared.push((name, file.take()));
                }
                _ => {}
            }
        }
    }

    /// Finds all paths that begin in this crate.
    fn paths(&mut self) {
        // The modules around, and how many braces are open within each.
        let mut around: Vec<(String, usize)> = Vec::new();
        let mut place = 0;
        while place < self.tokens.len() {
            match (self.token(place), self.token(place + 2)) {
                ("mod", "{") => {
                    around.push((self.token(place + 1).to_owned(), 0));
                    place += 2;
                    continue;
                }
                ("{", _) => {
                    if let Some((_, depth)) = around.last_mut() {
                        *depth += 1;
                    }
                }
                ("}", _) => {
                    if let Some((_, depth)) = around.last_mut() {
                        *depth -= 1;
                        if *depth == 0 {
                            around.pop();
                        }
                    }
                }
                _ => {}
            }
            let within: Names = around.iter().map(|(name, _)| name.clone()).collect();
            place = self.path(place, &within);
        }
    }

    /// Reads the path or the `use` that begins here, if one does. Returns the place behind it.
    fn path(&mut self, place: usize, within: &[String]) -> usize {
        let mut found = Vec::new();
        if self.token(place) == "use" && self.token(place + 1) != "<" {
            let before = self.token(place.wrapping_sub(1));
            let end = self.tree(place + 1, &[], &mut found);
            for (name, names) in found {
                let Some(names) = self.absolute(&names, within) else {
                    continue;
                };
                if before == "pub" || before == ")" {
                    self.file.exports.push((within.to_vec(), name, names));
                } else {
                    self.file.imports.insert(names);
                }
            }
            return end;
        }
        // `pub(in crate::a)` says who may import, and imports nothing.
        let is_visibility =
            self.token(place.wrapping_sub(1)) == "in" && self.token(place.wrapping_sub(2)) == "(";
        let begins = !self.is_separator(place.wrapping_sub(2)) && self.is_separator(place + 1);
        if is_visibility || !begins {
            return place + 1;
        }
        let end = self.tree(place, &[], &mut found);
        for (_, names) in found {
            self.file.imports.extend(self.absolute(&names, within));
        }
        end.max(place + 1)
    }

    /// Reads `a::{b, c as d, e::*}`: the names that it leads to, each with its whole path.
    fn tree(&self, place: usize, before: &[String], found: &mut Vec<(String, Names)>) -> usize {
        match self.token(place) {
            "{" => {
                let mut place = place + 1;
                while self.token(place) != "}" {
                    place = self.tree(place, before, found);
                    if self.token(place) == "," {
                        place += 1;
                    }
                }
                place + 1
            }
            "*" => {
                found.push(("*".to_owned(), before.to_vec()));
                place + 1
            }
            name if is_name(name) => {
                let names = match name {
                    // `a::{self}`
                    "self" if !before.is_empty() => before.to_vec(),
                    _ => below(before, name),
                };
                let follows = self.token(place + 3);
                let goes_on = follows == "{" || follows == "*" || is_name(follows);
                if self.is_separator(place + 1) && goes_on {
                    return self.tree(place + 3, &names, found);
                }
                if self.token(place + 1) == "as" {
                    found.push((self.token(place + 2).to_owned(), names));
                    return place + 3;
                }
                let name = names.last().cloned().unwrap_or_default();
                found.push((name, names));
                place + 1
            }
            _ => place + 1,
        }
    }

    /// A path from the root of the crate; none where it leads into another crate.
    fn absolute(&self, names: &[String], within: &[String]) -> Option<Names> {
        let mut module = [&*self.module, within].concat();
        let mut rest = names;
        match &*names[0] {
            "crate" => module.clear(),
            "self" => {}
            "super" => {
                while let Some((_, deeper)) =
                    rest.split_first().filter(|(name, _)| *name == "super")
                {
                    module.pop();
                    rest = deeper;
                }
                return Some([&*module, rest].concat());
            }
            // A child of the file, by its bare name.
            child if within.is_empty() && self.declared.iter().any(|(name, _)| name == child) => {
                return Some([&*module, names].concat());
            }
            _ => return None,
        }
        rest = &rest[1..];
        Some([&*module, rest].concat())
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}
