//! Roles, privileges, and the options of roles, databases and sequences.

use crate::report::{Result, SqlState};

use super::keywords::Keyword as K;
use super::lexer::Kind;
use super::parser::Parser;
use super::tree::QualifiedName;
use super::tree_ddl::*;

impl Parser<'_> {
    /// A role's name, or a word for one of the session's.
    pub fn role(&mut self) -> Result<String> {
        let at = self.here();
        match self.keyword() {
            Some(word @ (K::CurrentUser | K::CurrentRole | K::SessionUser)) => {
                self.advance();
                return Ok(word.word().to_owned());
            }
            Some(K::None) => {
                let message = "role name \"none\" is reserved";
                return Err(self.error(at, SqlState::RESERVED_NAME, message));
            }
            _ => {}
        }
        self.non_reserved().map(|name| name.text)
    }

    fn roles(&mut self) -> Result<Vec<String>> {
        self.list(Self::role)
    }

    pub fn role_options(&mut self) -> Result<Vec<RoleOption>> {
        let mut options = Vec::new();
        while !self.at_end() && !self.is(K::Create) && !self.is(K::Grant) {
            options.push(self.role_option()?);
        }
        Ok(options)
    }

    fn role_option(&mut self) -> Result<RoleOption> {
        let word = self.keyword();
        match word {
            Some(K::Password | K::Encrypted | K::Unencrypted) => {
                self.advance();
                if word != Some(K::Password) {
                    self.expect_keyword(K::Password)?;
                }
                if word == Some(K::Password) && self.take_keyword(K::Null) {
                    return Ok(RoleOption::Password(None));
                }
                Ok(RoleOption::Password(Some(self.string()?)))
            }
            Some(K::Connection) => {
                self.advance();
                self.expect_keyword(K::Limit)?;
                let negative = self.take(Kind::Minus);
                let limit = self.integer()?;
                Ok(RoleOption::ConnectionLimit(if negative { -limit } else { limit }))
            }
            Some(K::Valid) => {
                self.advance();
                self.expect_keyword(K::Until)?;
                Ok(RoleOption::ValidUntil(self.string()?))
            }
            Some(K::Sysid) => {
                self.advance();
                Ok(RoleOption::SysId(self.integer()?))
            }
            Some(K::Role | K::User) => {
                self.advance();
                Ok(RoleOption::Members("ROLE", self.roles()?))
            }
            Some(K::Admin) => {
                self.advance();
                Ok(RoleOption::Members("ADMIN", self.roles()?))
            }
            Some(K::In) => {
                self.advance();
                if !self.take_keyword(K::Role) {
                    self.expect_keyword(K::Group)?;
                }
                Ok(RoleOption::Members("IN ROLE", self.roles()?))
            }
            Some(K::Inherit) => {
                self.advance();
                Ok(RoleOption::Flag("inherit".to_owned()))
            }
            _ => self.role_flag(),
        }
    }

    fn role_flag(&mut self) -> Result<RoleOption> {
        const FLAGS: [&str; 13] = [
            "superuser",
            "nosuperuser",
            "createdb",
            "nocreatedb",
            "createrole",
            "nocreaterole",
            "login",
            "nologin",
            "replication",
            "noreplication",
            "bypassrls",
            "nobypassrls",
            "noinherit",
        ];
        let at = self.here();
        if self.keyword().is_some() || self.kind() != Kind::Word {
            return Err(self.unexpected());
        }
        let name = self.label()?.text;
        if FLAGS.contains(&name.as_str()) {
            return Ok(RoleOption::Flag(name));
        }
        let message = format!("unrecognized role option \"{name}\"");
        Err(self.error(at, SqlState::SYNTAX_ERROR, message))
    }

    /// `name = value` without commas between them, as databases have them.
    pub fn database_options(&mut self) -> Result<Vec<DefinitionOption>> {
        let mut options = Vec::new();
        while !self.at_end() {
            let name = if self.is(K::Connection) && self.is_at(1, K::Limit) {
                self.advance();
                let mut name = self.label()?;
                name.text = "connection_limit".to_owned();
                name
            } else {
                match self.keyword() {
                    None | Some(K::Encoding | K::Location | K::Owner | K::Tablespace | K::Template) => {
                        self.label()?
                    }
                    _ => return Err(self.unexpected()),
                }
            };
            self.take(Kind::Equals);
            let value = if self.take_keyword(K::Default) {
                None
            } else if let Some(text) = self.take_string()? {
                Some(OptionValue::String(text))
            } else {
                Some(OptionValue::Word(self.option_value()?))
            };
            options.push(DefinitionOption { namespace: None, name, value });
        }
        Ok(options)
    }

    /// What a sequence is to be like.
    pub fn sequence_options(&mut self) -> Result<Vec<SequenceOption>> {
        let mut options = Vec::new();
        while let Some(option) = self.sequence_option()? {
            options.push(option);
        }
        Ok(options)
    }

    fn sequence_option(&mut self) -> Result<Option<SequenceOption>> {
        let word = self.keyword();
        if !matches!(
            word,
            Some(
                K::As
                    | K::Cache
                    | K::Cycle
                    | K::No
                    | K::Increment
                    | K::Maxvalue
                    | K::Minvalue
                    | K::Owned
                    | K::Sequence
                    | K::Start
                    | K::Restart
                    | K::Logged
                    | K::Unlogged
            )
        ) {
            return Ok(None);
        }
        self.advance();
        Ok(Some(match word {
            Some(K::As) => SequenceOption::As(self.type_name()?),
            Some(K::Cache) => SequenceOption::Cache(self.number()?),
            Some(K::Cycle) => SequenceOption::Cycle(true),
            Some(K::No) => {
                let option = match self.keyword() {
                    Some(K::Cycle) => SequenceOption::Cycle(false),
                    Some(K::Maxvalue) => SequenceOption::Max(None),
                    Some(K::Minvalue) => SequenceOption::Min(None),
                    _ => return Err(self.unexpected()),
                };
                self.advance();
                option
            }
            Some(K::Increment) => {
                self.take_keyword(K::By);
                SequenceOption::Increment(self.number()?)
            }
            Some(K::Maxvalue) => SequenceOption::Max(Some(self.number()?)),
            Some(K::Minvalue) => SequenceOption::Min(Some(self.number()?)),
            Some(K::Owned) => {
                self.expect_keyword(K::By)?;
                SequenceOption::OwnedBy(self.any_name()?)
            }
            Some(K::Sequence) => {
                self.expect_keyword(K::Name)?;
                SequenceOption::Name(self.any_name()?)
            }
            Some(K::Start) => {
                self.take_keyword(K::With);
                SequenceOption::Start(self.number()?)
            }
            Some(K::Restart) => {
                let given = self.take_keyword(K::With)
                    || matches!(self.kind(), Kind::Integer | Kind::Number | Kind::Minus | Kind::Plus);
                SequenceOption::Restart(if given { Some(self.number()?) } else { None })
            }
            word => SequenceOption::Logged(word == Some(K::Logged)),
        }))
    }

    /// A number, perhaps with a sign.
    fn number(&mut self) -> Result<String> {
        match self.kind() {
            Kind::Integer | Kind::Number | Kind::Minus | Kind::Plus => self.word_or_value(),
            _ => Err(self.unexpected()),
        }
    }

    /// `GRANT` or `REVOKE`, of privileges on something or of roles.
    pub fn grant(&mut self) -> Result<Definition> {
        let revoke = self.is(K::Revoke);
        self.advance();
        let mut options = Vec::new();
        if revoke && self.is_at(1, K::Option) && !self.is(K::All) {
            options.push(self.label()?.text);
            self.advance();
            self.expect_keyword(K::For)?;
        }
        let privileges = self.privileges()?;
        let on = if self.take_keyword(K::On) { Some(self.grant_target()?) } else { None };
        if on.is_none() && privileges.is_none() {
            return Err(self.unexpected());
        }
        self.expect_keyword(if revoke { K::From } else { K::To })?;
        let roles = self.list(|parser| {
            parser.take_keyword(K::Group);
            parser.role()
        })?;
        if !revoke && self.take_keyword(K::With) {
            if on.is_some() {
                self.expect_keywords(&[K::Grant, K::Option])?;
                options.push("grant".to_owned());
            } else {
                options.extend(self.list(Self::membership_option)?);
            }
        }
        let granted_by = if self.take_keywords(&[K::Granted, K::By]) { Some(self.role()?) } else { None };
        let cascade = revoke && self.drop_behavior();
        Ok(Definition::Grant(Grant { revoke, privileges, on, roles, options, granted_by, cascade }))
    }

    /// `ADMIN OPTION`, `INHERIT TRUE` and their kin.
    fn membership_option(&mut self) -> Result<String> {
        let name = self.label()?.text;
        match self.keyword() {
            Some(word @ (K::Option | K::True | K::False)) => {
                self.advance();
                Ok(format!("{name} {}", word.word()))
            }
            _ => Err(self.unexpected()),
        }
    }

    /// `SELECT, UPDATE (a, b)`; none for all of them.
    fn privileges(&mut self) -> Result<Option<Vec<Privilege>>> {
        if self.take_keyword(K::All) {
            self.take_keyword(K::Privileges);
            // `ALL (a, b)` is of columns.
            if self.kind() == Kind::LParen {
                let columns = self.names_in_parens()?;
                return Ok(Some(vec![Privilege { name: "all".to_owned(), columns }]));
            }
            return Ok(None);
        }
        let list = self.list(|parser| {
            let name = match parser.keyword() {
                Some(word @ (K::Select | K::References | K::Create)) => {
                    parser.advance();
                    word.word().to_owned()
                }
                Some(K::Alter) => {
                    parser.advance();
                    parser.expect_keyword(K::System)?;
                    "alter system".to_owned()
                }
                _ => parser.name()?.text,
            };
            Ok(Privilege { name, columns: parser.names_in_parens()? })
        })?;
        Ok(Some(list))
    }

    fn grant_target(&mut self) -> Result<GrantTarget> {
        if self.take_keyword(K::All) {
            let object = match self.keyword() {
                Some(K::Tables) => "TABLE",
                Some(K::Sequences) => "SEQUENCE",
                Some(K::Functions) => "FUNCTION",
                Some(K::Procedures) => "PROCEDURE",
                Some(K::Routines) => "ROUTINE",
                _ => return Err(self.unexpected()),
            };
            self.advance();
            self.expect_keywords(&[K::In, K::Schema])?;
            let names = self.list(Self::qualified_name)?;
            return Ok(GrantTarget { object: Object(object), all_in_schema: true, names });
        }
        let object = match self.keyword() {
            Some(K::Function | K::Procedure | K::Routine | K::Foreign | K::Large | K::Parameter) => {
                return self.not_supported(self.here(), "GRANT on this kind of object");
            }
            Some(K::Table) => Some("TABLE"),
            Some(K::Sequence) => Some("SEQUENCE"),
            Some(K::Database) => Some("DATABASE"),
            Some(K::Schema) => Some("SCHEMA"),
            Some(K::Tablespace) => Some("TABLESPACE"),
            Some(K::Language) => Some("LANGUAGE"),
            Some(K::Domain) => Some("DOMAIN"),
            Some(K::Type) => Some("TYPE"),
            _ => None,
        };
        if object.is_some() {
            self.advance();
        }
        let names: Vec<QualifiedName> = self.list(Self::qualified_name)?;
        Ok(GrantTarget { object: Object(object.unwrap_or("TABLE")), all_in_schema: false, names })
    }

    /// `CASCADE`; `RESTRICT` says what is so anyway.
    pub fn drop_behavior(&mut self) -> bool {
        let cascade = self.take_keyword(K::Cascade);
        if !cascade {
            self.take_keyword(K::Restrict);
        }
        cascade
    }
}
