"""Groups whose first word is either one of their verbs or the input of the group itself."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

__all__ = ["InputOrVerb"]


class InputOrVerb(TyperGroup):
    """A group whose first word is its input unless it names one of its verbs; subclasses name that input."""

    input_word = "one input"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Decide by the first word whose options follow."""
        verb = bool(args) and args[0] in self.commands
        ctx.meta["fusin.verb"] = verb
        # A group stops at its first word, because a verb has options of its own; an input has the group's.
        ctx.allow_interspersed_args = not verb
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Refuse a second word where the first one is the input."""
        if not ctx.meta.get("fusin.verb"):
            ctx.fail(f"'{args[0]}' is one word too many: {self.input_word}, or a verb as the first word")
        return super().resolve_command(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        """Leave the input out of the parameters where a verb comes first."""
        params = super().get_params(ctx)
        return [p for p in params if p.param_type_name != "argument"] if ctx.meta.get("fusin.verb") else params
