-- Prose on its way to HTML: no page may ask the network for a picture, and wide tables scroll by themselves.

function Image(element)
  if element.src:match("^data:") then
    return element
  end
  return pandoc.Link(element.caption, element.src)
end

function Table(element)
  local attributes = { { "role", "group" }, { "aria-label", "Table" }, { "tabindex", "0" } } -- in this order always
  return pandoc.Div({ element }, pandoc.Attr("", { "scroll" }, attributes))
end

-- Short pieces of code need no colours, and each line of coloured code would bring a link of its own.
function CodeBlock(element)
  return pandoc.CodeBlock(element.text)
end
