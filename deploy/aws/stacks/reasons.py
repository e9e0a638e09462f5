"""Why a rule of checkov does not hold for a resource: the template says it beside the resource."""

from __future__ import annotations

from typing import cast

import aws_cdk as cdk
from constructs import IConstruct


def skip(construct: IConstruct, **reasons: str) -> None:
    """Note in a resource's metadata which rules are left out, and why.

    Parameters
    ----------
    construct
        What stands for one resource.
    reasons
        By the rule's name, such as ``CKV_AWS_18``.
    """
    resource = cast("cdk.CfnResource", construct.node.default_child)
    told = [{"id": rule, "comment": reason} for rule, reason in reasons.items()]
    resource.add_metadata("checkov", {"skip": told})
