# Completion of hookctl for PowerShell. It asks hookctl itself, which also knows the webhooks, event types and ids of the database.

Register-ArgumentCompleter -Native -CommandName 'hookctl' -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)

    # The words before the cursor, read as PowerShell reads them; the last one may be empty, which older versions would drop.
    $words = @($commandAst.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } | ForEach-Object {
        if ($_ -is [System.Management.Automation.Language.StringConstantExpressionAst]) { $_.Value } else { $_.Extent.Text }
    })
    $word = if ($wordToComplete) { $wordToComplete } else { '""' }

    & hookctl complete powershell -- @words $word 2>$null | ForEach-Object {
        $value, $help = $_ -split "`t", 2
        $shown = if ($help) { $help } else { $value }
        [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $shown)
    }
}
