"""What clients.py changes in the description before the Rust client is made of it."""

import unittest

import clients


def described(name, required=()):
    """A description with one schema of three fields that may be null."""
    number = {"type": ["integer", "null"], "minimum": 1}
    time = {"oneOf": [{"$ref": "#/components/schemas/Time"}, {"type": "null"}], "description": "When."}
    either = {"oneOf": [{"type": "string"}, {"type": "integer"}]}
    properties = {"number": number, "time": time, "either": either}
    schema = {"type": "object", "required": list(required), "properties": properties}
    return {"webhooks": {"event": {}}, "components": {"schemas": {name: schema, "Text": {"type": "string"}}}}


def fields(description, name):
    return description["components"]["schemas"][name]["properties"]


class ForRust(unittest.TestCase):
    def test_a_field_that_may_be_left_out_has_no_null(self):
        made = fields(clients.for_rust(described("NewEvent")), "NewEvent")
        self.assertEqual({"type": "integer", "minimum": 1}, made["number"])
        self.assertEqual({"$ref": "#/components/schemas/Time", "description": "When."}, made["time"])
        self.assertEqual({"oneOf": [{"type": "string"}, {"type": "integer"}]}, made["either"])

    def test_a_required_field_keeps_its_null(self):
        before = described("Delivery", required=["number", "time"])
        self.assertEqual(fields(before, "Delivery"), fields(clients.for_rust(before), "Delivery"))

    def test_a_change_of_an_endpoint_keeps_null_because_it_takes_away(self):
        before = described("EndpointChange")
        self.assertEqual(fields(before, "EndpointChange"), fields(clients.for_rust(before), "EndpointChange"))

    def test_requests_to_receivers_are_no_calls(self):
        before = described("NewEvent")
        self.assertNotIn("webhooks", clients.for_rust(before))
        self.assertIn("webhooks", before)


if __name__ == "__main__":
    unittest.main()
