"""``gateway completion``: the script that teaches a shell to complete our commands."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Prints the completion script of a shell.

    \b
    bash:  gateway completion bash > ~/.local/share/bash-completion/completions/gateway
    zsh:   gateway completion zsh > a file named _gateway in a directory of $fpath
    fish:  gateway completion fish > ~/.config/fish/completions/gateway.fish
    """  # noqa: D301 - click wants a real \b
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"click knows no completion for {shell}.")
    click.echo(found(ctx.find_root().command, {}, "gateway", "_GATEWAY_COMPLETE").source())
