//! How long the chains of operators in a statement are, known from its tokens.
//!
//! `a + b + c` becomes a tree that is as deep as the chain is long, and trees are copied, measured and dropped by
//! recursion. So chains are counted before there is a tree: too long ones are refused as PostgreSQL refuses what exhausts
//! its stack.

use sqlparser::tokenizer::{Token, TokenWithSpan};

/// Longer chains are refused.
pub const MAX_CHAIN: usize = 5000;

/// The length of the longest chain: operators at one level of parentheses, between commas and clauses.
pub fn longest(tokens: &[TokenWithSpan]) -> usize {
    let mut levels = vec![(0usize, 0usize)];
    let mut longest = 0;
    for token in tokens {
        let Some((operators, queries)) = levels.last_mut() else {
            levels.push((0, 0));
            continue;
        };
        match &token.token {
            Token::LParen | Token::LBracket => {
                levels.push((0, 0));
                continue;
            }
            Token::RParen | Token::RBracket => {
                levels.pop();
                continue;
            }
            Token::Comma => *operators = 0,
            Token::Word(word) if word.quote_style.is_none() => match word.value.to_ascii_lowercase().as_str()
            {
                "union" | "intersect" | "except" | "join" => {
                    *queries += 1;
                    *operators = 0;
                }
                "and" | "or" | "is" | "not" | "between" | "in" | "like" | "ilike" | "at" | "collate" => {
                    *operators += 1
                }
                "select" | "from" | "where" | "when" | "then" | "else" | "end" | "having" | "on" => {
                    *operators = 0
                }
                _ => {}
            },
            Token::Number(..) | Token::SingleQuotedString(_) | Token::Period | Token::Placeholder(_) => {}
            _ => *operators += 1,
        }
        longest = longest.max(*operators).max(*queries);
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;
    use sqlparser::dialect::PostgreSqlDialect;
    use sqlparser::tokenizer::Tokenizer;

    #[test]
    fn chains_are_counted_within_parentheses_and_between_commas() {
        for (text, length) in [
            ("select 1", 0),
            ("select 1 + 2 - 3, 4", 2),
            ("select (1 + 2) * 3, 4 + 5", 1),
            ("select a and b or c where d and e", 2),
            ("select 1 union select 2 union all select 3", 2),
            ("))))", 0),
        ] {
            let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize_with_location().unwrap();
            assert_eq!(longest(&Source::new(text, tokens, None).tokens), length, "{text}");
        }
    }
}
