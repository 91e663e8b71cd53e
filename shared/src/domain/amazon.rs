//! The host names of AWS's own APIs, which are never targets (contract §3).
//!
//! A service may trust a network: a queue's policy, for instance, may let in every request from a VPC. A delivery from that VPC
//! would then act in the operator's name.

/// The zones of AWS's APIs in all partitions (<https://docs.aws.amazon.com/general/latest/gr/rande.html>).
const ZONES: [&str; 6] = [
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".amazonaws.eu",
    ".api.aws",
    ".api.amazonwebservices.com.cn",
    ".api.amazonwebservices.eu",
];

/// The services that the functions or Lambda call in this deployment's name. `ddb` is in DynamoDB's names by account, and
/// `queue` in the older names of SQS (<https://docs.aws.amazon.com/general/latest/gr/ddb.html>, `sqs-service.html`).
const SERVICES: [&str; 11] =
    ["ddb", "dynamodb", "events", "kms", "lambda", "logs", "queue", "secretsmanager", "sqs", "sts", "xray"];

/// The services whose addresses in this region are looked up, so that no exemption opens them.
const LOOKED_UP: [&str; 6] = ["dynamodb", "events", "kms", "secretsmanager", "sqs", "sts"];

/// Whether a host is an API of a service that this deployment uses, or a VPC's private way to any API. The name is in the
/// spelling of [`crate::origin::host_name`].
///
/// Other hosts in these zones belong to AWS's customers, such as `<id>.execute-api.<region>.amazonaws.com`, and are receivers
/// like any other.
#[must_use]
pub fn is_api(host: &str) -> bool {
    let Some(name) = ZONES.iter().find_map(|zone| host.strip_suffix(zone)) else {
        return false;
    };
    let mut labels: Vec<&str> = name.split('.').collect();
    if labels.len() > 1 && labels.last().is_some_and(|label| is_region(label)) {
        labels.pop();
    }
    let Some(last) = labels.last() else { return false };
    *last == "vpce" || SERVICES.contains(&last.strip_suffix("-fips").unwrap_or(last))
}

/// The names of the APIs in a region that no delivery may reach by their addresses either.
pub fn api_hosts(region: &str) -> impl Iterator<Item = String> {
    let zone = match region {
        china if china.starts_with("cn-") => "amazonaws.com.cn",
        sovereign if sovereign.starts_with("eusc-") => "amazonaws.eu",
        _ => "amazonaws.com",
    };
    LOOKED_UP.into_iter().map(move |service| format!("{service}.{region}.{zone}"))
}

/// Whether a label has the form of a region's name, such as `eu-west-1` or `us-gov-east-1`.
fn is_region(label: &str) -> bool {
    label.split('-').count() >= 3 && label.ends_with(|last: char| last.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_apis_of_aws_are_known_by_all_their_names() {
        for api in [
            "dynamodb.eu-west-1.amazonaws.com",
            "dynamodb-fips.us-gov-east-1.amazonaws.com",
            "123456789012.ddb.eu-west-1.amazonaws.com",
            "streams.dynamodb.eu-west-1.amazonaws.com",
            "dynamodb.eu-west-1.api.aws",
            "sqs.cn-north-1.amazonaws.com.cn",
            "eu-west-1.queue.amazonaws.com",
            "queue.amazonaws.com",
            "sts.amazonaws.com",
            "secretsmanager.eusc-de-east-1.amazonaws.eu",
            "vpce-0a1b-2c3d.sqs.eu-west-1.vpce.amazonaws.com",
            "vpce-0a1b-2c3d.execute-api.eu-west-1.vpce.amazonaws.com",
        ] {
            assert!(is_api(api), "{api}");
        }
        for (region, host) in [
            ("eu-west-1", "sqs.eu-west-1.amazonaws.com"),
            ("us-gov-west-1", "sqs.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "sqs.cn-north-1.amazonaws.com.cn"),
            ("eusc-de-east-1", "sqs.eusc-de-east-1.amazonaws.eu"),
        ] {
            assert!(api_hosts(region).any(|one| one == host), "{host}");
            assert!(api_hosts(region).all(|one| is_api(&one)), "{region}");
        }
    }

    #[test]
    fn what_customers_run_at_aws_is_a_receiver_like_any_other() {
        for receiver in [
            "a1b2c3.execute-api.eu-west-1.amazonaws.com",
            "x7y8z9.lambda-url.eu-west-1.on.aws",
            "hooks-123.eu-west-1.elb.amazonaws.com",
            "sqs.eu-west-1.elb.amazonaws.com",
            "ec2-198-51-100-1.eu-west-1.compute.amazonaws.com",
            "a1b2c3.appsync-api.eu-west-1.amazonaws.com",
            "d111111abcdef8.cloudfront.net",
            "sqs.eu-west-1.example.com",
            "dynamodb.example.amazonaws.com.example.com",
            "amazonaws.com",
        ] {
            assert!(!is_api(receiver), "{receiver}");
        }
    }
}
