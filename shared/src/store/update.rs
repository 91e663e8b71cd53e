//! Builds the expression of an update from the changes to a row. Each keyword may appear once in an expression
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.UpdateExpressions.html>), so the changes are
//! collected first. Each attribute has an alias, because DynamoDB reserves many plain words
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.ExpressionAttributeNames.html>).

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;

/// Attributes to set, remove and add to, each named once.
#[derive(Debug, Default)]
pub(super) struct Changes {
    set: Vec<String>,
    remove: Vec<String>,
    add: Vec<String>,
    names: HashMap<String, String>,
    values: HashMap<String, AttributeValue>,
}

impl Changes {
    /// Sets an attribute.
    pub(super) fn set(self, name: &str, to: AttributeValue) -> Self {
        self.set_by(name, &format!(":{name}"), to)
    }

    /// Sets an attribute to the result of an expression. The expression refers to `value` by a colon and the attribute's name.
    pub(super) fn set_by(mut self, name: &str, expression: &str, value: AttributeValue) -> Self {
        self.set.push(format!("#{name} = {expression}"));
        self.values.insert(format!(":{name}"), value);
        self.named(name)
    }

    /// Sets an attribute, or removes it where there is no value.
    pub(super) fn set_or_remove(self, name: &str, to: Option<AttributeValue>) -> Self {
        match to {
            Some(to) => self.set(name, to),
            None => self.remove(&[name]),
        }
    }

    /// Removes attributes; one that is absent stays absent.
    pub(super) fn remove(mut self, names: &[&str]) -> Self {
        for name in names {
            self.remove.push(format!("#{name}"));
            self = self.named(name);
        }
        self
    }

    /// Adds to a number or to a set. An absent number counts as 0, and an absent set as empty.
    pub(super) fn add(mut self, name: &str, value: AttributeValue) -> Self {
        self.add.push(format!("#{name} :{name}"));
        self.values.insert(format!(":{name}"), value);
        self.named(name)
    }

    fn named(mut self, name: &str) -> Self {
        self.names.insert(format!("#{name}"), name.to_owned());
        self
    }

    fn expression(&self) -> String {
        let clauses = [("SET", &self.set), ("REMOVE", &self.remove), ("ADD", &self.add)];
        let clauses = clauses.into_iter().filter(|(_, changes)| !changes.is_empty());
        clauses.map(|(word, changes)| format!("{word} {}", changes.join(", "))).collect::<Vec<_>>().join(" ")
    }

    /// Puts the changes into an update of one row. The update's condition may use their names and values too.
    pub(super) fn of_item(self, update: UpdateItemFluentBuilder) -> UpdateItemFluentBuilder {
        let update = update.update_expression(self.expression());
        self.aliased(
            update,
            UpdateItemFluentBuilder::expression_attribute_names,
            UpdateItemFluentBuilder::expression_attribute_values,
        )
    }

    /// Puts the changes into an update that is part of a transaction.
    pub(super) fn of_transaction(self, update: UpdateBuilder) -> UpdateBuilder {
        let update = update.update_expression(self.expression());
        self.aliased(
            update,
            UpdateBuilder::expression_attribute_names,
            UpdateBuilder::expression_attribute_values,
        )
    }

    /// Adds the aliases of the names and the values to an update.
    fn aliased<U>(
        self,
        update: U,
        name: fn(U, String, String) -> U,
        value: fn(U, String, AttributeValue) -> U,
    ) -> U {
        let update = self.names.into_iter().fold(update, |update, (alias, to)| name(update, alias, to));
        self.values.into_iter().fold(update, |update, (alias, to)| value(update, alias, to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{number, text};

    #[test]
    fn an_expression_has_each_clause_once_and_each_name_by_an_alias() {
        let changes = Changes::default()
            .set("status", text("active"))
            .remove(&["chain"])
            .add("failures", number(1))
            .set_by("disabled_at", "if_not_exists(#disabled_at, :disabled_at)", number(7))
            .set_or_remove("slot", None);
        assert_eq!(
            changes.expression(),
            "SET #status = :status, #disabled_at = if_not_exists(#disabled_at, :disabled_at) \
             REMOVE #chain, #slot ADD #failures :failures"
        );
        let mut names: Vec<_> = changes.names.values().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["chain", "disabled_at", "failures", "slot", "status"]);
        assert_eq!(changes.values.len(), 3);
    }
}
