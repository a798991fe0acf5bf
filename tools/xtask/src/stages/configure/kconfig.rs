// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Just enough of the Kconfig language to say why a requested option did not come out as asked:
//! what it depends on (with the menus and `if` blocks around it), and who selects it.

use std::collections::BTreeMap;

use super::fragment::value_in;

/// All options of a kernel tree.
#[derive(Debug, Default)]
pub struct Kconfig {
    symbols: BTreeMap<String, Vec<Definition>>,
    /// Option to those that select it, each with its condition.
    selected: BTreeMap<String, Vec<(String, Option<String>)>>,
}

/// One `config NAME` block.
#[derive(Debug, Default)]
struct Definition {
    place: String,
    /// A prompt makes it an option that can be set.
    prompt: bool,
    /// The prompt's own condition.
    prompt_if: Option<String>,
    /// All must hold, those of the surroundings included.
    depends: Vec<String>,
}

/// What `depends on` speaks about.
enum Current {
    Definition(String),
    Scope,
    Other,
}

impl Kconfig {
    /// Reads the file `root` and all that it sources. `read` gives a file's text by its path in
    /// the tree.
    pub fn parse(root: &str, read: &mut dyn FnMut(&str) -> Option<String>) -> Self {
        let mut kconfig = Self::default();
        kconfig.file(root, read, &mut Vec::new());
        kconfig
    }

    /// Whether the tree has the option at all.
    pub fn has(&self, symbol: &str) -> bool {
        self.symbols.contains_key(symbol)
    }

    fn file(
        &mut self,
        path: &str,
        read: &mut dyn FnMut(&str) -> Option<String>,
        scopes: &mut Vec<Vec<String>>,
    ) {
        let Some(text) = read(path) else { return };
        let mut current = Current::Other;
        // The indentation at which a help text's lines start, once the first one is seen.
        let mut help: Option<Option<usize>> = None;
        for (number, line) in logical_lines(&text) {
            let line = line.as_str();
            let indent = indentation(line);
            if let Some(start) = help {
                if line.trim().is_empty() || start.is_none_or(|start| indent >= start) && indent > 0
                {
                    if !line.trim().is_empty() {
                        help = Some(start.or(Some(indent)));
                    }
                    continue;
                }
                help = None;
            }
            let line = without_comment(line).trim();
            let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
            let rest = rest.trim();
            match word {
                "config" | "menuconfig" => {
                    let definition = Definition {
                        place: format!("{path}:{number}"),
                        depends: scopes.iter().flatten().cloned().collect(),
                        ..Definition::default()
                    };
                    self.symbols.entry(rest.to_owned()).or_default().push(definition);
                    current = Current::Definition(rest.to_owned());
                }
                "menu" | "choice" => {
                    scopes.push(Vec::new());
                    current = Current::Scope;
                }
                "if" => {
                    scopes.push(vec![rest.to_owned()]);
                    current = Current::Other;
                }
                "endmenu" | "endchoice" | "endif" => {
                    scopes.pop();
                    current = Current::Other;
                }
                "comment" | "mainmenu" => current = Current::Other,
                "source" | "osource" | "rsource" | "orsource" => {
                    let name = rest.trim_matches('"').replace("$(SRCARCH)", "arm64");
                    let name = match path.rsplit_once('/') {
                        Some((dir, _)) if word.contains("rs") => format!("{dir}/{name}"),
                        _ => name,
                    };
                    self.file(&name, read, scopes);
                    current = Current::Other;
                }
                "help" | "---help---" => help = Some(None),
                "depends" | "visible" => {
                    let condition = rest.trim_start_matches("on ").trim_start_matches("if ").trim();
                    match &current {
                        Current::Definition(symbol) => {
                            if let Some(definition) = self.last(symbol) {
                                definition.depends.push(condition.to_owned());
                            }
                        }
                        Current::Scope => {
                            if let Some(scope) = scopes.last_mut() {
                                scope.push(condition.to_owned());
                            }
                        }
                        Current::Other => {}
                    }
                }
                "bool" | "tristate" | "int" | "hex" | "string" | "prompt" => {
                    if let (Current::Definition(symbol), true) = (&current, rest.starts_with('"')) {
                        let condition = after_prompt(rest);
                        if let Some(definition) = self.last(&symbol.clone()) {
                            definition.prompt = true;
                            definition.prompt_if = condition;
                        }
                    }
                }
                "select" => {
                    if let Current::Definition(selector) = &current {
                        let (name, condition) = match rest.split_once(" if ") {
                            Some((name, condition)) => (name, Some(condition.trim().to_owned())),
                            None => (rest, None),
                        };
                        let selectors = self.selected.entry(name.trim().to_owned()).or_default();
                        selectors.push((selector.clone(), condition));
                    }
                }
                _ => {}
            }
        }
    }

    fn last(&mut self, symbol: &str) -> Option<&mut Definition> {
        self.symbols.get_mut(symbol)?.last_mut()
    }

    /// Why `symbol` has another value in `config` than the one that was `asked` for.
    pub fn explain(&self, symbol: &str, asked: &str, config: &BTreeMap<String, String>) -> String {
        let Some(definitions) = self.symbols.get(symbol) else {
            return "this tree has no such option".to_owned();
        };
        let mut reasons = Vec::new();
        let selectors = self.active_selectors(symbol, config);
        if asked != "y" && !selectors.is_empty() {
            return format!("selected by {}", selectors.join(", "));
        }
        for definition in definitions {
            if let Some(reason) = definition.unmet(config) {
                reasons.push(format!("{reason} ({})", definition.place));
            } else if !definition.prompt {
                reasons.push(format!(
                    "it cannot be set, only selected by other options or by its default ({})",
                    definition.place
                ));
            }
        }
        if reasons.is_empty() {
            let places: Vec<&str> = definitions.iter().map(|one| one.place.as_str()).collect();
            return format!(
                "its dependencies are met; see its range, choice or default in {}",
                places.join(", ")
            );
        }
        reasons.join("; or ")
    }

    fn active_selectors(&self, symbol: &str, config: &BTreeMap<String, String>) -> Vec<&str> {
        let mut active = Vec::new();
        for (selector, condition) in self.selected.get(symbol).into_iter().flatten() {
            let met = condition.as_deref().is_none_or(|text| evaluate(text, config) != Some(0));
            if met && value_in(config, selector) != "n" && !active.contains(&selector.as_str()) {
                active.push(selector);
            }
        }
        active
    }
}

impl Definition {
    /// The conditions that do not hold, with the values of the options in them.
    fn unmet(&self, config: &BTreeMap<String, String>) -> Option<String> {
        let prompt_if = self.prompt_if.iter();
        let conditions = self.depends.iter().chain(prompt_if).flat_map(|text| conjuncts(text));
        let mut unmet: Vec<String> = Vec::new();
        for condition in conditions {
            if evaluate(condition, config) != Some(0) {
                continue;
            }
            let mut values: Vec<String> = Vec::new();
            for token in tokens(condition) {
                if is_symbol(token) {
                    let value = format!("{token} is {}", value_in(config, token));
                    if !values.contains(&value) {
                        values.push(value);
                    }
                }
            }
            let text = format!("`{condition}`, but {}", values.join(", "));
            if !unmet.contains(&text) {
                unmet.push(text);
            }
        }
        (!unmet.is_empty()).then(|| format!("it depends on {}", unmet.join(" and on ")))
    }
}

/// The lines of `text`, joined where they end in a backslash, each with its number from 1.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut continued = false;
    for (index, line) in text.lines().enumerate() {
        let (part, more) = match line.strip_suffix('\\') {
            Some(part) => (part, true),
            None => (line, false),
        };
        match lines.last_mut() {
            Some((_, last)) if continued => last.push_str(part),
            _ => lines.push((index + 1, part.to_owned())),
        }
        continued = more;
    }
    lines
}

/// Columns before the first character that is no blank; a tabulator goes to the next multiple of 8.
fn indentation(line: &str) -> usize {
    let mut column = 0;
    for character in line.chars() {
        match character {
            ' ' => column += 1,
            '\t' => column = (column / 8 + 1) * 8,
            _ => break,
        }
    }
    column
}

/// `line` up to a `#` that is not in quotes.
fn without_comment(line: &str) -> &str {
    let mut quote = None;
    for (at, character) in line.char_indices() {
        match (quote, character) {
            (None, '#') => return &line[..at],
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    line
}

/// The condition in `"text" if CONDITION`.
fn after_prompt(rest: &str) -> Option<String> {
    let end = rest[1..].find('"')? + 2;
    rest[end..].trim().strip_prefix("if ").map(|condition| condition.trim().to_owned())
}

/// The parts of an expression: operators, names, quoted texts, `$(...)` as a whole.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let operators = ["&&", "||", "!=", "<=", ">=", "(", ")", "!", "=", "<", ">"];
        let length = if let Some(operator) = operators.iter().find(|o| rest.starts_with(**o)) {
            operator.len()
        } else if rest.starts_with(['"', '\'']) {
            rest[1..].find(&rest[..1]).map_or(rest.len(), |end| end + 2)
        } else if rest.starts_with("$(") {
            closing(rest)
        } else {
            let end = rest.find(|c: char| c.is_whitespace() || "()!=<>&|\"'".contains(c));
            // At least one character, whatever it is, so that this ends.
            let one = rest.chars().next().map_or(1, char::len_utf8);
            end.unwrap_or(rest.len()).max(one)
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

/// The length of the `$(...)` at the beginning of `text`.
fn closing(text: &str) -> usize {
    let mut depth = 0;
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

/// An option's name, as opposed to a constant or an operator.
fn is_symbol(token: &str) -> bool {
    !matches!(token, "y" | "m" | "n")
        && token.starts_with(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit())
        && token.bytes().any(|byte| byte.is_ascii_uppercase())
}

/// The parts of `text` that are joined by `&&` on its outermost level.
fn conjuncts(text: &str) -> Vec<&str> {
    let text = text.trim();
    let mut parts = Vec::new();
    let (mut depth, mut start) = (0, 0);
    let mut only_and = true;
    for token in tokens(text) {
        let at = token.as_ptr() as usize - text.as_ptr() as usize;
        match token {
            "(" => depth += 1,
            ")" => depth -= 1,
            "||" if depth == 0 => only_and = false,
            "&&" if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + token.len();
            }
            _ => {}
        }
    }
    parts.push(text[start..].trim());
    if only_and { parts } else { vec![text] }
}

/// The value of the expression `text`: 0 for n, 1 for m, 2 for y; none if it depends on something
/// that only Kconfig itself knows.
fn evaluate(text: &str, config: &BTreeMap<String, String>) -> Option<u8> {
    let tokens = tokens(text);
    let mut parser = Parser { tokens: &tokens, config };
    parser.or()
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    config: &'a BTreeMap<String, String>,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (&first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.tokens.first() == Some(&token);
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    fn or(&mut self) -> Option<u8> {
        let mut value = self.and();
        while self.take("||") {
            let other = self.and();
            value = match (value, other) {
                (Some(2), _) | (_, Some(2)) => Some(2),
                (Some(one), Some(two)) => Some(one.max(two)),
                _ => None,
            };
        }
        value
    }

    fn and(&mut self) -> Option<u8> {
        let mut value = self.not();
        while self.take("&&") {
            let other = self.not();
            value = match (value, other) {
                (Some(0), _) | (_, Some(0)) => Some(0),
                (Some(one), Some(two)) => Some(one.min(two)),
                _ => None,
            };
        }
        value
    }

    fn not(&mut self) -> Option<u8> {
        if self.take("!") {
            return self.not().map(|value| 2 - value);
        }
        if self.take("(") {
            let value = self.or();
            self.take(")");
            return value;
        }
        let left = self.next()?;
        let operator = match self.tokens.first().copied() {
            Some(operator @ ("=" | "!=" | "<" | "<=" | ">" | ">=")) => operator,
            _ => return self.tristate(left),
        };
        self.next();
        let right = self.next()?;
        let (left, right) = (self.text(left)?, self.text(right)?);
        let order = match (left.parse::<i64>(), right.parse::<i64>()) {
            (Ok(left), Ok(right)) => left.cmp(&right),
            _ => left.cmp(&right),
        };
        let holds = match operator {
            "=" => order.is_eq(),
            "!=" => order.is_ne(),
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            _ => order.is_ge(),
        };
        Some(if holds { 2 } else { 0 })
    }

    fn tristate(&self, token: &str) -> Option<u8> {
        match self.text(token)?.as_str() {
            "y" => Some(2),
            "m" => Some(1),
            _ => Some(0),
        }
    }

    fn text(&self, token: &str) -> Option<String> {
        if token.contains("$(") {
            None
        } else if is_symbol(token) {
            Some(value_in(self.config, token).trim_matches('"').to_owned())
        } else {
            Some(token.trim_matches(['"', '\'']).to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fragment::parse_config;
    use super::*;

    const ROOT: &str = r#"
mainmenu "Linux"
source "arch/$(SRCARCH)/Kconfig"
menu "Drivers"
	depends on HAS_IOMEM

config PCI
	bool "PCI support" if EXPERT
	depends on HAVE_PCI && \
		   !MINIMAL
	help
	  Text that says:
	  depends on NOTHING

	  config NOT_ONE

if TTY && (A || B)
config CONSOLE
	tristate "Console"
	depends on $(cc-option,-mfancy)
	select DRIVER if PCI
	select HELPER
endif

comment "no config here"
	depends on NEVER
endmenu

config NUMBER
	int "A number" # with a comment
	range 2 10
	depends on LEVEL >= 4

config HELPER
	def_bool n
"#;

    fn kconfig() -> Kconfig {
        Kconfig::parse("Kconfig", &mut |path| match path {
            "Kconfig" => Some(ROOT.to_owned()),
            "arch/arm64/Kconfig" => Some("config TTY\n\tbool \"TTY\"\n".to_owned()),
            _ => None,
        })
    }

    fn explain(symbol: &str, asked: &str, config: &str) -> String {
        kconfig().explain(symbol, asked, &parse_config(config))
    }

    #[test]
    fn files_are_followed_and_help_is_skipped() {
        let kconfig = kconfig();
        assert!(kconfig.has("TTY") && kconfig.has("HELPER"));
        assert!(!kconfig.has("NOT_ONE"));
        assert_eq!(explain("NOT_ONE", "y", ""), "this tree has no such option");
    }

    #[test]
    fn unmet_dependencies_are_named() {
        assert_eq!(
            explain("PCI", "y", "CONFIG_HAS_IOMEM=y\nCONFIG_MINIMAL=y\nCONFIG_EXPERT=y\n"),
            "it depends on `HAVE_PCI`, but HAVE_PCI is n and on `!MINIMAL`, but MINIMAL is y \
             (Kconfig:7)"
        );
        assert_eq!(
            explain("PCI", "y", "CONFIG_HAS_IOMEM=y\nCONFIG_HAVE_PCI=y\n"),
            "it depends on `EXPERT`, but EXPERT is n (Kconfig:7)"
        );
    }

    #[test]
    fn the_surroundings_count() {
        assert_eq!(
            explain("CONSOLE", "y", "CONFIG_TTY=y\n"),
            "it depends on `HAS_IOMEM`, but HAS_IOMEM is n and on `(A || B)`, but A is n, B is n \
             (Kconfig:18)"
        );
    }

    #[test]
    fn options_that_select_are_named() {
        let config = "CONFIG_CONSOLE=y\nCONFIG_PCI=n\nCONFIG_HELPER=y\n";
        assert_eq!(explain("HELPER", "n", config), "selected by CONSOLE");
        assert!(explain("HELPER", "y", "").contains("cannot be set"));
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert!(
            explain("NUMBER", "3", "CONFIG_LEVEL=3\n").contains("`LEVEL >= 4`, but LEVEL is 3")
        );
        assert!(explain("NUMBER", "3", "CONFIG_LEVEL=10\n").contains("see its range"));
    }

    #[test]
    fn expressions_are_evaluated() {
        let config = parse_config("CONFIG_A=y\nCONFIG_M=m\nCONFIG_S=\"x\"\n");
        for (text, value) in [
            ("A && M", Some(1)),
            ("!M", Some(1)),
            ("A && !B", Some(2)),
            ("B || (A && M)", Some(1)),
            ("S = \"x\" && A != n", Some(2)),
            ("$(success,test) || A", Some(2)),
            ("$(success,test $(X)) && A", None),
            ("64BIT", Some(0)),
            ("", None),
        ] {
            assert_eq!(evaluate(text, &config), value, "{text}");
        }
    }
}
